/* file: one file an entry, in the layout that Vault's file storage has (docs/formats/file-backend.md).
 *
 * Commit: in runs in which no file appears twice. First all new contents of the run are written and fsynced
 * under temporary names in the root (so that a full disk is met before anything has changed, and no left-over
 * is ever taken for an entry); then each put is renamed into its place, or removed, and its directory
 * fsynced, before the next one. Threads: get and list share nothing but the root's descriptor; a rename shows
 * them the old file or the new one.
 */
#include "base/encode.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"
#include "storage/directory.h"
#include "storage/listing.h"
#include "storage/storage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    VALUE_BYTES_MAX = 256 * 1024 * 1024,
    FILE_BYTES_MAX = VALUE_BYTES_MAX / 3 * 4 + 4096,
    KEY_BYTES_MAX = 64 * 1024, /* the kernel's limits come first */
    BATCH_MAX = 4096,
    LEAF_BYTES_MAX = 255 - 6, /* with "_" and the ".temp" that Vault appends while writing */
    TEMP_NAME_MAX = 40,
};

#define TEMP_PREFIX ".coffer-temp-"

struct file {
    struct storage base;
    int root; /* the directory, locked */
};

/* One put on its way. */
struct change {
    const struct storage_put *put;
    const char *dir;  /* "a/b" relative to the root; "." is the root */
    const char *name; /* "a/b/_c" */
    uint64_t hash;
    bool dir_is_there, temp_is_there; /* or may be */
};

/* The path as a file system sees it: a//b/./c/ is a/b/c. */
static struct error *path_clean(struct arena *a, str path, str *ret)
{
    if (str_find(path, STR("..")) < path.n)
        return error_new(a, ERR_INTERNAL, "path cannot contain parent references");
    if (str_index(path, '\0') < path.n)
        return error_new(a, ERR_INTERNAL, "path cannot contain a zero byte");
    struct buf out;
    buf_init(&out, a, path.n + 1);
    for (str part, rest = path; rest.n > 0;) {
        str_cut(rest, '/', &part, &rest);
        if (part.n == 0 || str_eq(part, STR(".")))
            continue;
        if (out.n)
            buf_put_byte(&out, '/');
        buf_put_str(&out, part);
    }
    *ret = buf_str(&out);
    return NULL;
}

/* Directory and file of an entry. */
static struct error *path_split(struct arena *a, str path, str *ret_dir, str *ret_leaf)
{
    str clean;
    TRY(path_clean(a, path, &clean));
    if (clean.n == 0)
        return error_new(a, ERR_INTERNAL, "\"%.*s\" is no path of an entry", PSTR(path));
    size_t slash = str_rindex(clean, '/');
    *ret_dir = slash == clean.n ? (str){0} : str_slice(clean, 0, slash);
    *ret_leaf = slash == clean.n ? clean : str_from(clean, slash + 1);
    return NULL;
}

static char *file_name(struct arena *a, str dir, str leaf)
{
    return arena_cstr(a, arena_fmt(a, "%.*s%s_%.*s", PSTR(dir), dir.n ? "/" : "", PSTR(leaf)));
}

static struct error *fail(struct arena *a, const char *what, const char *name)
{
    if (errno == ENAMETOOLONG)
        return error_new(a, ERR_INTERNAL, "file name too long");
    return error_errno(a, errno, "%s %s", what, name);
}

/* Any failed fsync leaves it unknown what is on the disk, whatever errno says. */
static struct error *sync_fd(struct arena *a, int fd, const char *name)
{
    return fsync(fd) ? error_new(a, ERR_IO, "fsync %s: %s", name, strerrordesc_np(errno)) : NULL;
}

/* Called when the directory has changed: it cannot be undone, so every failure is one of the device. */
static struct error *sync_dir(const struct file *f, struct arena *a, const char *dir)
{
    int fd = openat(f->root, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_new(a, ERR_IO, "open %s: %s", dir, strerrordesc_np(errno));
    struct error *e = sync_fd(a, fd, dir);
    close(fd);
    return e;
}

static bool is_root(const char *dir)
{
    return strcmp(dir, ".") == 0;
}

static const char *parent_of(struct arena *a, const char *dir)
{
    str s = str_from_cstr(dir);
    size_t slash = str_rindex(s, '/');
    return slash == s.n ? "." : arena_cstr(a, str_slice(s, 0, slash));
}

/* Makes a directory whose parent exists, durable in it. Whether what exists is a directory is checked before
 * the put. */
static struct error *dir_make_one(const struct file *f, struct arena *a, const char *dir)
{
    if (mkdirat(f->root, dir, 0700))
        return errno == EEXIST || errno == ENOTDIR ? NULL : fail(a, "mkdir", dir);
    return sync_dir(f, a, parent_of(a, dir));
}

static struct error *dir_make(const struct file *f, struct arena *a, const char *dir)
{
    struct stat st;
    if (fstatat(f->root, dir, &st, 0) == 0)
        return NULL;
    for (str parent, rest = str_from_cstr(dir); rest.n > 0;) {
        str_cut(rest, '/', &parent, &rest);
        size_t n = (size_t)(parent.p - dir) + parent.n;
        TRY(dir_make_one(f, a, arena_cstr(a, (str){dir, n})));
    }
    return NULL;
}

/* Removes a directory and its parents as far as they are empty; the first that stays. */
static const char *dirs_remove(const struct file *f, struct arena *a, const char *dir)
{
    while (!is_root(dir) && (unlinkat(f->root, dir, AT_REMOVEDIR) == 0 || errno == ENOENT))
        dir = parent_of(a, dir);
    return dir;
}

/* --- reading --- */

static struct error *read_all(struct arena *a, int fd, size_t n, const char *name, str *ret_text)
{
    char *text = arena_alloc(a, n);
    for (size_t at = 0; at < n;) {
        ssize_t got = read(fd, text + at, n - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(a, "read", name);
        if (got == 0)
            return error_new(a, ERR_INTERNAL, "read %s: the file has become shorter", name);
        at += (size_t)got;
    }
    *ret_text = (str){text, n};
    return NULL;
}

static struct error *read_file(const struct file *f, struct arena *a, const char *name, str *ret_text)
{
    int fd = openat(f->root, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? NULL : fail(a, "open", name);
    struct stat st;
    struct error *e = fstat(fd, &st) ? fail(a, "stat", name) : NULL;
    if (!e && S_ISREG(st.st_mode)) {
        if (st.st_size > FILE_BYTES_MAX)
            e = error_new(a, ERR_TOO_LARGE, "%s: %jd bytes are too many for an entry", name,
                          (intmax_t)st.st_size);
        else
            e = read_all(a, fd, (size_t)st.st_size, name, ret_text);
    }
    close(fd);
    return e;
}

/* {"Value":"<base64>"}; an absent or null Value is an empty one. */
static bool value_parse(struct arena *a, struct arena *scratch, str text, bytes *ret_value)
{
    struct json *root;
    if (json_parse(scratch, text, true, &root) || root->type != JSON_OBJECT)
        return false;
    const struct json *value = json_get_nocase(root, STR("Value"));
    if (!json_is_null(value) && value->type != JSON_STRING)
        return false;
    if (!base64_decode(a, json_is_null(value) ? (str){0} : value->text, ret_value))
        return false;
    if (!ret_value->p)
        ret_value->p = arena_alloc(a, 0);
    return true;
}

static struct error *file_get(struct storage *s, struct arena *a, str path, bytes *ret_value)
{
    const struct file *f = CONTAINER_OF(s, struct file, base);
    CLEANUP(arena_freep) struct arena *scratch = arena_new(0);
    str dir, leaf, text = {0};
    TRY(path_split(a, path, &dir, &leaf));
    struct error *e = read_file(f, scratch, file_name(scratch, dir, leaf), &text);
    if (e)
        return error_copy(a, e);
    bytes value = {0};
    if (text.n && !value_parse(a, scratch, text, &value)) /* a file of size 0 is an absent entry */
        return error_new(a, ERR_INTERNAL, "entry %.*s of the file storage is damaged", PSTR(path));
    *ret_value = value;
    return NULL;
}

static bool entry_is_dir(int dir, const struct dirent *entry)
{
    struct stat st;
    if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK)
        return entry->d_type == DT_DIR;
    return fstatat(dir, entry->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static void list_entry(struct listing *l, int dir, const struct dirent *entry)
{
    str name = str_from_cstr(entry->d_name);
    if (str_eq(name, STR(".")) || str_eq(name, STR("..")))
        return;
    if (entry_is_dir(dir, entry))
        listing_add_name(l, arena_join(l->arena, name, STR("/")));
    else if (l->prefix.n || !str_starts(name, STR(TEMP_PREFIX)))
        listing_add_name(l, name.p[0] == '_' ? str_from(name, 1) : name);
}

static int name_order(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

static void sort_and_thin(struct listing *l)
{
    if (l->n == 0)
        return;
    qsort(l->names, l->n, sizeof *l->names, name_order);
    size_t kept = 1;
    for (size_t i = 1; i < l->n; i++)
        if (!str_eq(l->names[i], l->names[kept - 1]))
            l->names[kept++] = l->names[i];
    l->n = kept;
}

static struct error *file_list(struct storage *s, struct arena *a, str prefix, str **ret_names, size_t *ret_n)
{
    str clean;
    TRY(path_clean(a, prefix, &clean));
    struct listing l = {.arena = a, .prefix = clean};
    const char *name = clean.n ? arena_cstr(a, clean) : ".";
    int fd = openat(CONTAINER_OF(s, struct file, base)->root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir && errno != ENOENT && errno != ENOTDIR) {
        struct error *e = fail(a, "open", name);
        if (fd >= 0)
            close(fd);
        return e;
    }
    if (dir) {
        const struct dirent *entry;
        for (errno = 0; (entry = readdir(dir)); errno = 0)
            list_entry(&l, fd, entry);
        struct error *e = errno ? fail(a, "read", name) : NULL;
        closedir(dir);
        TRY(e);
    }
    sort_and_thin(&l);
    *ret_names = l.names;
    *ret_n = l.n;
    return NULL;
}

/* --- writing --- */

static struct error *write_all(struct arena *a, int fd, str text, const char *name)
{
    while (text.n > 0) {
        ssize_t done = write(fd, text.p, text.n);
        if (done < 0 && errno != EINTR)
            return fail(a, "write", name);
        text = str_from(text, done < 0 ? 0 : (size_t)done);
    }
    return NULL;
}

/* Never longer than the buffer: the run's number is below BATCH_MAX. */
static void temp_name(char out[TEMP_NAME_MAX], size_t i)
{
    snprintf(out, TEMP_NAME_MAX, TEMP_PREFIX "%zu", i);
}

static struct error *temp_write(const struct file *f, struct arena *a, const char *temp, bytes value)
{
    CLEANUP(arena_freep) struct arena *scratch = arena_new(0);
    const str parts[] = {STR("{\"Value\":\""), base64_encode(scratch, value), STR("\"}\n")};
    int fd = openat(f->root, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(a, "open", temp);
    struct error *e = NULL;
    for (size_t i = 0; i < COUNT_OF(parts) && !e; i++)
        e = write_all(a, fd, parts[i], temp);
    if (!e)
        e = sync_fd(a, fd, temp);
    close(fd);
    return e;
}

/* Everything about a put that can fail for other reasons than a broken device, before anything changes. */
static struct error *change_prepare(const struct file *f, struct arena *a, struct change *c, size_t i)
{
    struct stat st;
    if (fstatat(f->root, c->dir, &st, 0) || !S_ISDIR(st.st_mode) ||
        (fstatat(f->root, c->name, &st, 0) == 0 && S_ISDIR(st.st_mode)))
        return error_new(a, ERR_INTERNAL, "entry %.*s: another entry has its name in the file storage",
                         PSTR(c->put->path));
    char temp[TEMP_NAME_MAX];
    temp_name(temp, i);
    c->temp_is_there = true;
    return temp_write(f, a, temp, c->put->value);
}

static struct error *change_apply(const struct file *f, struct arena *a, struct change *c, size_t i)
{
    if (c->put->deletes) {
        bool gone = unlinkat(f->root, c->name, 0) == 0;
        if (!gone && errno != ENOENT && errno != ENOTDIR)
            return fail(a, "remove", c->name);
        const char *left = dirs_remove(f, a, c->dir);
        return gone || left != c->dir ? sync_dir(f, a, left) : NULL;
    }
    char temp[TEMP_NAME_MAX];
    temp_name(temp, i);
    if (renameat(f->root, temp, f->root, c->name)) {
        if (errno != ENOENT)
            return fail(a, "rename", c->name);
        TRY(dir_make(f, a, c->dir)); /* a delete before this put has taken the directory away */
        if (renameat(f->root, temp, f->root, c->name))
            return fail(a, "rename", c->name);
    }
    c->temp_is_there = c->dir_is_there = false;
    return sync_dir(f, a, c->dir);
}

/* After a failure: temporary files and directories made for nothing go. What cannot be removed does no harm.
 */
static void changes_clean(const struct file *f, struct arena *a, const struct change *changes, size_t from,
                          size_t to)
{
    for (size_t i = from; i < to; i++) {
        char temp[TEMP_NAME_MAX];
        temp_name(temp, i);
        if (changes[i].temp_is_there)
            unlinkat(f->root, temp, 0);
        if (changes[i].dir_is_there)
            dirs_remove(f, a, changes[i].dir);
    }
}

static struct error *run_prepare(const struct file *f, struct arena *a, struct change *changes, size_t from,
                                 size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (changes[i].put->deletes)
            continue;
        changes[i].dir_is_there = true;
        TRY(dir_make(f, a, changes[i].dir));
    }
    for (size_t i = from; i < to; i++)
        if (!changes[i].put->deletes)
            TRY(change_prepare(f, a, &changes[i], i));
    return NULL;
}

/* ret_applied counts the changes that have reached their place. */
static struct error *run_apply(const struct file *f, struct arena *a, struct change *changes, size_t from,
                               size_t to, size_t *ret_applied)
{
    for (size_t i = from; i < to; i++) {
        if (i > 0 && FAULT(FAULT_FILE_BETWEEN_PUTS))
            return error_new(a, ERR_IO, "stopped between two puts");
        TRY(change_apply(f, a, &changes[i], i));
        *ret_applied = i + 1;
    }
    return NULL;
}

static struct error *change_from_put(struct arena *a, const struct storage_put *put, struct change *ret)
{
    str dir, leaf;
    TRY(path_split(a, put->path, &dir, &leaf));
    if (!put->deletes && leaf.n > LEAF_BYTES_MAX)
        return error_new(a, ERR_INTERNAL, "file name too long");
    *ret =
        (struct change){.put = put, .dir = dir.n ? arena_cstr(a, dir) : ".", .name = file_name(a, dir, leaf)};
    ret->hash = str_hash(str_from_cstr(ret->name));
    return NULL;
}

/* The end of the run that begins at `from`: no file appears twice in it. */
static size_t run_end(const struct change *changes, size_t from, size_t n)
{
    for (size_t to = from; to < n; to++)
        for (size_t i = from; i < to; i++)
            if (changes[i].hash == changes[to].hash && strcmp(changes[i].name, changes[to].name) == 0)
                return to;
    return n;
}

static struct error *file_commit(struct storage *s, struct arena *a, const struct storage_batch *batch)
{
    const struct file *f = CONTAINER_OF(s, struct file, base);
    struct change *changes = ARENA_ARRAY(a, struct change, batch->n);
    for (size_t i = 0; i < batch->n; i++)
        TRY(change_from_put(a, &batch->puts[i], &changes[i]));
    size_t applied = 0;
    for (size_t from = 0, to; from < batch->n; from = to) {
        to = run_end(changes, from, batch->n);
        struct error *e = run_prepare(f, a, changes, from, to);
        if (!e)
            e = run_apply(f, a, changes, from, to, &applied);
        if (!e)
            continue;
        changes_clean(f, a, changes, from, to);
        if (applied == 0 || e->kind == ERR_IO)
            return e;
        /* a part is written: for the caller the same as a device that failed */
        return error_new(a, ERR_IO, "%zu of %zu entries written: %.*s", applied, batch->n, PSTR(e->text));
    }
    return NULL;
}

/* --- opening --- */

static void temps_remove(int root)
{
    int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(dir));)
        if (str_starts(str_from_cstr(entry->d_name), STR(TEMP_PREFIX)))
            unlinkat(root, entry->d_name, 0);
    closedir(dir);
}

static struct error *file_open(struct arena *a, const struct config_block *config, struct storage **ret_s)
{
    const char *path = arena_cstr(a, config_block_get(config, STR("path")));
    if (!path || !*path)
        return error_new(a, ERR_BAD_REQUEST, "'path' must be set");
    int root;
    TRY(directory_lock(a, path, &root));
    temps_remove(root);
    struct file *f = malloc(sizeof *f);
    if (!f)
        die("out of memory");
    *f = (struct file){.root = root};
    f->base.ops = &storage_file;
    f->base.caps = (struct storage_caps){.blocking = true,
                                         .value_bytes_max = VALUE_BYTES_MAX,
                                         .key_bytes_max = KEY_BYTES_MAX,
                                         .batch_max = BATCH_MAX};
    *ret_s = &f->base;
    return NULL;
}

static void file_close(struct storage *s)
{
    struct file *f = CONTAINER_OF(s, struct file, base);
    close(f->root);
    free(f);
}

const struct storage_ops storage_file = {
    .type = "file",
    .open = file_open,
    .close = file_close,
    .get = file_get,
    .list = file_list,
    .commit = file_commit,
};
