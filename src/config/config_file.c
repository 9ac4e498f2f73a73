/* Configuration files and directories: docs/formats/config.md, section 2. */
#include "config/config_private.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_BYTES = 16 * 1024 };

static void fd_close(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static struct error *path_error(struct arena *a, const char *verb, str path, int os_errno)
{
    str reason = arena_lower(a, str_from_cstr(strerrordesc_np(os_errno)));
    return error_new(a, ERR_BAD_REQUEST, "%s %.*s: %.*s", verb, PSTR(path), PSTR(reason));
}

/* Owned by us and nobody else may write, if the environment asks for the check. */
static struct error *permissions_check(struct arena *a, str path, const struct stat *st)
{
    bool on;
    if (!config_bool_from_str(config_env("ENABLE_FILE_PERMISSIONS_CHECK", NULL), &on) || !on)
        return NULL;
    if (st->st_uid != getuid())
        return error_new(a, ERR_BAD_REQUEST, "path \"%.*s\" is not owned by my uid %u", PSTR(path), getuid());
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return error_new(a, ERR_BAD_REQUEST,
                         "path \"%.*s\" may be written by its group or by others (mode %04o)", PSTR(path),
                         st->st_mode & 07777);
    return NULL;
}

struct error *config_read_file(struct arena *a, str path, str *ret_text)
{
    const char *name = arena_cstr(a, path);
    int fd CLEANUP(fd_close) = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return path_error(a, "open", path, name ? errno : EINVAL);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return path_error(a, "stat", path, errno);
    TRY(permissions_check(a, path, &st));
    struct buf b;
    buf_init(&b, a, HCL_TEXT_BYTES_MAX + CHUNK_BYTES);
    while (b.n <= HCL_TEXT_BYTES_MAX) {
        uint8_t *room = buf_extend(&b, CHUNK_BYTES);
        assert(room);
        ssize_t got = read(fd, room, CHUNK_BYTES);
        if (got < 0 && errno != EINTR)
            return path_error(a, "read", path, errno);
        b.n -= CHUNK_BYTES - (size_t)(got > 0 ? got : 0);
        if (got == 0)
            break;
    }
    *ret_text = buf_str(&b);
    return NULL;
}

/* Editors leave x~, .#x and #x# behind. */
static bool is_config_name(str name)
{
    bool left_behind = str_ends(name, STR("~")) || str_starts(name, STR(".#")) ||
                       (str_starts(name, STR("#")) && str_ends(name, STR("#")));
    return !left_behind && (str_ends(name, STR(".hcl")) || str_ends(name, STR(".json")));
}

static void dir_close(DIR **d)
{
    if (*d)
        closedir(*d);
}

static struct error *directory_files(struct arena *a, str path, str **ret_files, size_t *ret_n)
{
    DIR *dir CLEANUP(dir_close) = opendir(arena_cstr(a, path));
    if (!dir)
        return path_error(a, "open", path, errno);
    str *files = NULL;
    size_t n = 0;
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        str name = str_from_cstr(entry->d_name);
        struct stat st;
        if (!is_config_name(name) || fstatat(dirfd(dir), entry->d_name, &st, 0) < 0 || S_ISDIR(st.st_mode))
            continue;
        files = array_room(a, files, n, sizeof *files);
        files[n++] = arena_fmt(a, "%.*s%s%.*s", PSTR(path), str_ends(path, STR("/")) ? "" : "/", PSTR(name));
    }
    if (n == 0)
        return error_new(a, ERR_BAD_REQUEST, "the directory has no files that end in .hcl or .json");
    *ret_files = files;
    *ret_n = n;
    return NULL;
}

struct error *config_find_files(struct arena *a, str path, str **ret_files, size_t *ret_n, bool *ret_is_dir)
{
    const char *name = arena_cstr(a, path);
    struct stat st;
    if (!name || stat(name, &st) < 0)
        return path_error(a, "stat", path, name ? errno : EINVAL);
    *ret_is_dir = S_ISDIR(st.st_mode);
    if (*ret_is_dir) {
        TRY(permissions_check(a, path, &st));
        return directory_files(a, path, ret_files, ret_n);
    }
    *ret_files = arena_copy(a, &path, sizeof path);
    *ret_n = 1;
    return NULL;
}
