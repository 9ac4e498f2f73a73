/* replay: plays every file of the folders given to a fuzz target, once: the corpus as a regression test. */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILE_BYTES_MAX = 1 << 20 };

static void replay_file(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(FILE_BYTES_MAX);
    if (!f || !data) {
        perror(path);
        exit(1);
    }
    size_t n = fread(data, 1, FILE_BYTES_MAX, f);
    fclose(f);
    uint8_t *exact = malloc(n ? n : 1); /* so that ASan sees a read past the end */
    if (!exact)
        exit(1);
    for (size_t i = 0; i < n; i++)
        exact[i] = data[i];
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    free(data);
}

int main(int argc, char **argv)
{
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (!dir) {
            perror(argv[i]);
            return 1;
        }
        for (struct dirent *e; (e = readdir(dir));)
            if (e->d_name[0] != '.')
                replay_file(argv[i], e->d_name);
        closedir(dir);
    }
    return 0;
}
