#include "base/log_file.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOG_FILE_MODE = 0640, FILES_MAX = 100000 };

/* Used by the log, under its lock, once it is open. */
static struct {
    struct arena *arena;
    struct log_file_settings settings;
    str folder, begin, end; /* of the names: folder/begin-NUMBER.end */
    int fd;
    int64_t bytes, begun_ns;
} file = {.fd = -1};

static char *name_of(struct arena *a, int64_t begun_ns)
{
    return arena_cstr(a, arena_fmt(a, "%.*s/%.*s-%lld%.*s", PSTR(file.folder), PSTR(file.begin),
                                   (long long)begun_ns, PSTR(file.end)));
}

static bool open_next(struct arena *a)
{
    int64_t now_ns = clock_wall_ns(clock_real());
    char *name = name_of(a, now_ns);
    int fd = name ? open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, LOG_FILE_MODE) : -1;

    if (fd < 0)
        return false;
    (void)fchmod(fd, LOG_FILE_MODE); /* the process' mask is stricter */
    if (file.fd >= 0)
        (void)close(file.fd);
    file.fd = fd;
    file.bytes = 0;
    file.begun_ns = now_ns;
    return true;
}

static int compare(const void *x, const void *y)
{
    const int64_t *a = x, *b = y;

    return *a < *b ? -1 : *a > *b;
}

/* The numbers of the files there are, oldest first. */
static size_t numbers(struct arena *a, int64_t **ret)
{
    char *folder = arena_cstr(a, file.folder);
    DIR *d = folder ? opendir(folder) : NULL;
    str begin = arena_fmt(a, "%.*s-", PSTR(file.begin));
    int64_t *all = ARENA_ARRAY(a, int64_t, FILES_MAX);
    size_t n = 0;

    for (struct dirent *e; d && n < FILES_MAX && (e = readdir(d)) != NULL;) {
        str name = str_from_cstr(e->d_name);
        bool ours = str_starts(name, begin) && str_ends(name, file.end) && name.n > begin.n + file.end.n;

        if (ours && str_parse_i64(str_slice(name, begin.n, name.n - file.end.n), &all[n]))
            n++;
    }
    if (d)
        (void)closedir(d);
    qsort(all, n, sizeof(*all), compare);
    *ret = all;
    return n;
}

static void prune(struct arena *a)
{
    int64_t *all, keep = MAX(file.settings.files, 0);
    size_t n;

    if (file.settings.files == 0)
        return;
    n = numbers(a, &all);
    for (size_t i = 0; i < n && (int64_t)(n - i) > keep + 1; i++) {
        char *name = all[i] == file.begun_ns ? NULL : name_of(a, all[i]);

        if (name)
            (void)unlink(name); /* what cannot be removed stays */
    }
}

static void put_line(void *arg, str line)
{
    const struct log_file_settings *s = &file.settings;
    bool full = s->bytes > 0 && file.bytes > 0 && file.bytes + (int64_t)line.n > s->bytes,
         old = s->age_ns > 0 && clock_wall_ns(clock_real()) - file.begun_ns >= s->age_ns;

    (void)arg;
    if (full || old) {
        struct arena *a = arena_new(0);

        if (open_next(a)) /* else the old one is written on */
            prune(a);
        arena_free(a);
    }
    file.bytes += (int64_t)line.n;
    while (line.n > 0) {
        ssize_t n = write(file.fd, line.p, line.n);

        if (n < 0 && errno != EINTR)
            return; /* the line went to the descriptor as well */
        line = str_from(line, (size_t)MAX(n, 0));
    }
}

static void split_path(struct arena *a, str path)
{
    char *text = arena_cstr(a, path);
    struct stat st;
    size_t slash, dot;
    str name;

    if ((text && stat(text, &st) == 0 && S_ISDIR(st.st_mode)) || str_ends(path, STR("/"))) {
        file.folder = path;
        file.begin = STR("vault");
        file.end = STR(".log");
        return;
    }
    slash = str_rindex(path, '/');
    file.folder = slash == path.n ? STR(".") : slash == 0 ? STR("/") : str_slice(path, 0, slash);
    name = slash == path.n ? path : str_from(path, slash + 1);
    dot = str_rindex(name, '.');
    file.begin = str_slice(name, 0, dot);
    file.end = dot == name.n ? STR(".log") : str_from(name, dot);
}

struct error *log_file_open(struct arena *a, const struct log_file_settings *s)
{
    log_file_close();
    file.arena = arena_new(0);
    file.settings = *s;
    file.settings.path = arena_str(file.arena, s->path);
    split_path(file.arena, file.settings.path);
    if (!open_next(a)) {
        struct error *e = error_errno(a, errno, "could not open the log file %.*s", PSTR(s->path));

        arena_freep(&file.arena);
        return e;
    }
    prune(a);
    log_set_sink(put_line, NULL);
    return NULL;
}

void log_file_close(void)
{
    log_set_sink(NULL, NULL);
    if (file.fd >= 0)
        (void)close(file.fd);
    file.fd = -1;
    arena_freep(&file.arena);
}
