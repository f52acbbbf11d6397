/* Runs a fuzz target over the files and directories that are named: what any compiler can do
 * without libFuzzer. */
#include <dirent.h>
#include <sys/stat.h>

#include "fuzz.h"

#define INPUT_MAX ((size_t)1 << 20)

static size_t inputs;

static void file_run(const char *path)
{
    AUTO(buf_free) struct buf text = BUF(INPUT_MAX);
    struct error e = {0};
    if (file_read(path, INPUT_MAX, &text, E_BUG, &e) != OK) {
        (void)fprintf(stderr, "%s\n", e.text);
        exit(1);
    }
    AUTO(chunk_free) struct chunk input = chunk_of(buf_span(&text));
    (void)LLVMFuzzerTestOneInput(input.data, input.size);
    inputs++;
}

static void directory_run(const char *path)
{
    DIR *directory = opendir(path);
    must(directory != NULL);
    for (struct dirent *d = NULL; (d = readdir(directory)) != NULL;) {
        char file[4096];
        int n = snprintf(file, sizeof file, "%s/%s", path, d->d_name);
        must(n > 0 && (size_t)n < sizeof file);
        if (d->d_name[0] != '.')
            file_run(file);
    }
    (void)closedir(directory);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
            directory_run(argv[i]);
        else
            file_run(argv[i]);
    }
    (void)printf("%s: %zu inputs\n", argv[0], inputs);
    return inputs > 0 ? 0 : 1;
}
