# fish completion of decant. Commands, options and values are what the program's own --help says.

function __decant_words
    commandline -opc
end

function __decant_command
    set -l words (__decant_words)
    test (count $words) -gt 1; and echo $words[2]
end

function __decant_commands
    set -l words (__decant_words)
    $words[1] --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z]*\)  *\(.*\)/\1\t\2/p'
end

function __decant_options
    set -l words (__decant_words)
    $words[1] $words[2] --help 2>/dev/null | grep -E '^ +(-[a-z], )?--' | grep -oE -- '(^| )--[a-z][a-z-]*' | tr -d ' '
end

# The values of the option before the cursor: words, or nothing for those of files and others.
function __decant_values
    set -l words (__decant_words)
    $words[1] $words[2] --help 2>/dev/null | sed -nE "s/.*$words[-1] ([a-z]+(\|[a-z]+)+)( .*)?\$/\1/p" | head -n 1 | tr '|' '\n'
end

complete -c decant -n 'test (count (__decant_words)) -eq 1' -f -a '(__decant_commands)'
complete -c decant -n 'test (count (__decant_words)) -gt 1; and string match -q -- "-*" (commandline -ct)' -a '(__decant_options)'
complete -c decant -n 'string match -q -- "--*" (__decant_words)[-1]' -a '(__decant_values)'
