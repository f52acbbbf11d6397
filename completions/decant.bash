# bash completion of decant. Commands, options and values are what the program's own --help says.

_decant_words() { # PROGRAM [COMMAND]: the commands, or the options of one
    if [ $# -eq 1 ]; then
        "$1" --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z]*\) .*/\1/p'
    else
        "$1" "$2" --help 2>/dev/null | grep -E '^ +(-[a-z], )?--' | grep -oE -- '(^| )--[a-z][a-z-]*' | tr -d ' '
    fi
}

_decant_value() { # PROGRAM COMMAND OPTION: what the option wants: FILE, DIR, a|b|c, …
    local option=$3
    [ "$option" != -c ] || option=--job
    "$1" "$2" --help 2>/dev/null | grep -E '^ +(-[a-z], )?--' |
        sed -nE "s/.*$option ([A-Z][A-Z0-9\/-]*|[a-z]+(\|[a-z]+)+)( .*)?\$/\1/p" | head -n 1
}

_decant() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} program=${COMP_WORDS[0]}
    local command=${COMP_WORDS[1]} i value
    COMPREPLY=()
    for ((i = 2; i < COMP_CWORD; i++)); do
        if [ "${COMP_WORDS[i]}" = -- ]; then # somebody else's command line
            mapfile -t COMPREPLY < <(compgen -c -f -- "$current")
            return
        fi
    done
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_decant_words "$program") --help --version" -- "$current")
        return
    fi
    case $previous in
    -*) value=$(_decant_value "$program" "$command" "$previous") ;;
    esac
    case $value:$current in
    *'|'*:*) mapfile -t COMPREPLY < <(compgen -W "${value//|/ }" -- "$current") ;;
    DIR:*) mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    :-*) mapfile -t COMPREPLY < <(compgen -W "$(_decant_words "$program" "$command")" -- "$current") ;;
    FILE:* | PATH:* | :*) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    esac
}

complete -o filenames -F _decant decant
