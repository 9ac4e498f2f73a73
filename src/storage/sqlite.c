/* sqlite: one table in one SQLite file, write-ahead log, every commit fsynced
 * (docs/formats/sqlite-backend.md).
 *
 * Threads: commits use the one writing connection; each get or list takes a reading connection from the idle
 * list (a new one if there is none), so a connection is used by one thread at a time and SQLite's own mutexes
 * are off. Failure: after ERR_IO the store is closed without a checkpoint, so that no descriptor is fsynced
 * again; the next open checkpoints through new ones.
 */
#include "base/log.h"
#include "base/mutex.h"
#include "storage/directory.h"
#include "storage/listing.h"
#include "storage/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    KEY_BYTES_MAX = 64 * 1024,
    VALUE_BYTES_MAX = 256 * 1024 * 1024,
    BATCH_MAX = 1000000,
    BUSY_MS = 5000,
    CHECKPOINT_PAGES = 1000,
    FORMAT_VERSION = 1,
};

enum reader_statement { READ_GET, READ_LIST, READ_BEGIN, READ_END, READ_STATEMENTS };
static const char *const reader_sql[READ_STATEMENTS] = {
    [READ_GET] = "select value from kv where key = ?1",
    [READ_LIST] = "select key from kv where key >= ?1 order by key",
    [READ_BEGIN] = "begin",
    [READ_END] = "commit",
};
static const char reader_setup[] = "pragma cache_size = -128; pragma mmap_size = 0; pragma query_only = on;";

enum writer_statement {
    WRITE_PUT,
    WRITE_DELETE,
    WRITE_BEGIN,
    WRITE_COMMIT,
    WRITE_ROLLBACK,
    WRITE_STATEMENTS
};
static const char *const writer_sql[WRITE_STATEMENTS] = {
    [WRITE_PUT] = "replace into kv (key, value) values (?1, ?2)",
    [WRITE_DELETE] = "delete from kv where key = ?1",
    [WRITE_BEGIN] = "begin immediate",
    [WRITE_COMMIT] = "commit",
    [WRITE_ROLLBACK] = "rollback",
};
static const char writer_setup[] =
    "pragma journal_mode = wal; pragma synchronous = full; pragma wal_autocheckpoint = 0;"
    "pragma journal_size_limit = 16777216; pragma cache_size = -1024;"
    "pragma mmap_size = 0; pragma temp_store = memory;";
/* application_id: "cofr" */
static const char schema[] =
    "begin immediate;"
    "create table if not exists kv (key blob primary key, value blob not null) without rowid;"
    "pragma application_id = 1668245106; pragma user_version = 1;"
    "commit;";

struct reader {
    struct reader *next;
    sqlite3 *db;
    sqlite3_stmt *stmt[READ_STATEMENTS];
};

struct sqlite {
    struct storage base;
    int dir; /* locked */
    char *file;
    sqlite3 *writer;
    sqlite3_stmt *stmt[WRITE_STATEMENTS];
    int wal_pages, checkpoint_pages; /* in the log now; how many make the next checkpoint due */
    struct mutex m;
    struct reader *idle; /* lock: m */
};

static struct sqlite *sqlite_of(struct storage *s)
{
    return CONTAINER_OF(s, struct sqlite, base);
}

/* SQLite reports a full disk as an I/O error in some places, and a quota always. */
static bool is_full(sqlite3 *db, int code)
{
    int os_errno = sqlite3_system_errno(db);
    return code == SQLITE_FULL ||
           ((code & 0xff) == SQLITE_IOERR && code != SQLITE_IOERR_FSYNC && code != SQLITE_IOERR_DIR_FSYNC &&
            (os_errno == ENOSPC || os_errno == EDQUOT));
}

/* The error of the last call on db. */
static struct error *fail(const struct sqlite *s, struct arena *a, sqlite3 *db)
{
    int code = sqlite3_extended_errcode(db);
    const char *text = sqlite3_errmsg(db);
    if (is_full(db, code))
        return error_new(a, ERR_FULL, "storage %s: no space left", s->file);
    switch (code & 0xff) {
    case SQLITE_BUSY: return error_new(a, ERR_BUSY, "storage %s is in use by another process", s->file);
    case SQLITE_IOERR: return error_new(a, ERR_IO, "storage %s: %s (%d)", s->file, text, code);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return error_new(a, ERR_INTERNAL, "storage %s is damaged: %s", s->file, text);
    case SQLITE_NOMEM: die("out of memory");
    default: return error_new(a, ERR_INTERNAL, "storage %s: %s (%d)", s->file, text, code);
    }
}

/* Runs a statement that gives no rows. */
static struct error *run(const struct sqlite *s, struct arena *a, sqlite3_stmt *stmt)
{
    struct error *e = sqlite3_step(stmt) == SQLITE_DONE ? NULL : fail(s, a, sqlite3_db_handle(stmt));
    sqlite3_reset(stmt);
    return e;
}

static void bind_blob(sqlite3_stmt *stmt, int at, const void *p, size_t n)
{
    sqlite3_bind_blob64(stmt, at, n ? p : "", n, SQLITE_STATIC);
}

/* --- connections --- */

static struct error *connect(const struct sqlite *s, struct arena *a, int flags, const char *setup,
                             sqlite3 **ret_db)
{
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(s->file, &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
    if (!db)
        die("out of memory");
    *ret_db = db; /* closed by the caller also after a failure */
    sqlite3_busy_timeout(db, BUSY_MS);
    if (code != SQLITE_OK || sqlite3_exec(db, setup, NULL, NULL, NULL) != SQLITE_OK)
        return fail(s, a, db);
    return NULL;
}

static struct error *prepare(const struct sqlite *s, struct arena *a, sqlite3 *db, const char *const *sql,
                             size_t n, sqlite3_stmt **ret_stmts)
{
    for (size_t i = 0; i < n; i++)
        if (sqlite3_prepare_v3(db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &ret_stmts[i], NULL) != SQLITE_OK)
            return fail(s, a, db);
    return NULL;
}

static void disconnect(sqlite3 *db, sqlite3_stmt **stmts, size_t n, bool checkpoint)
{
    for (size_t i = 0; i < n; i++)
        sqlite3_finalize(stmts[i]);
    if (db && !checkpoint)
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_close(db);
}

static void reader_free(struct reader *r)
{
    disconnect(r->db, r->stmt, READ_STATEMENTS, false);
    free(r);
}

static struct error *reader_take(struct sqlite *s, struct arena *a, struct reader **ret_reader)
{
    mutex_lock(&s->m);
    struct reader *r = s->idle;
    if (r)
        s->idle = r->next;
    mutex_unlock(&s->m);
    if (!r) {
        r = calloc(1, sizeof *r);
        if (!r)
            die("out of memory");
        struct error *e = connect(s, a, SQLITE_OPEN_READONLY, reader_setup, &r->db);
        if (!e)
            e = prepare(s, a, r->db, reader_sql, READ_STATEMENTS, r->stmt);
        if (e) {
            reader_free(r);
            return e;
        }
    }
    *ret_reader = r;
    return NULL;
}

static void reader_give(struct sqlite *s, struct reader *r)
{
    mutex_lock(&s->m);
    r->next = s->idle;
    s->idle = r;
    mutex_unlock(&s->m);
}

/* --- reading --- */

static struct error *sqlite_get(struct storage *base, struct arena *a, str path, bytes *ret_value)
{
    struct sqlite *s = sqlite_of(base);
    struct reader *r;
    TRY(reader_take(s, a, &r));
    sqlite3_stmt *get = r->stmt[READ_GET];
    struct error *e = NULL;
    bind_blob(get, 1, path.p, path.n);
    int code = sqlite3_step(get);
    if (code == SQLITE_ROW) {
        const void *p = sqlite3_column_blob(get, 0);
        size_t n = (size_t)sqlite3_column_bytes(get, 0);
        *ret_value = (bytes){n ? arena_copy(a, p, n) : arena_alloc(a, 0), n};
    } else if (code == SQLITE_DONE) {
        *ret_value = (bytes){0};
    } else {
        e = fail(s, a, r->db);
    }
    sqlite3_reset(get);
    reader_give(s, r);
    return e;
}

/* Lists inside a read transaction: the walk seeks past each folder with a new select. */
static struct error *list_walk(const struct sqlite *s, struct arena *a, struct reader *r, struct listing *l)
{
    sqlite3_stmt *list = r->stmt[READ_LIST];
    str from = l->prefix;
    int code = SQLITE_ROW;
    for (bool inside = true; inside;) {
        bind_blob(list, 1, from.p, from.n);
        from = (str){0};
        while (inside && from.n == 0) {
            code = sqlite3_step(list);
            inside = code == SQLITE_ROW;
            if (inside)
                inside = listing_add(
                    l, (str){sqlite3_column_blob(list, 0), (size_t)sqlite3_column_bytes(list, 0)}, &from);
        }
        if (code != SQLITE_ROW && code != SQLITE_DONE)
            return fail(s, a, r->db);
        sqlite3_reset(list);
    }
    return NULL;
}

static struct error *sqlite_list(struct storage *base, struct arena *a, str prefix, str **ret_names,
                                 size_t *ret_n)
{
    struct sqlite *s = sqlite_of(base);
    struct listing l = {.arena = a, .prefix = prefix};
    struct reader *r;
    TRY(reader_take(s, a, &r));
    struct error *e = run(s, a, r->stmt[READ_BEGIN]);
    if (!e) {
        e = list_walk(s, a, r, &l);
        sqlite3_reset(r->stmt[READ_LIST]);
        struct error *end = run(s, a, r->stmt[READ_END]);
        e = e ? e : end;
    }
    if (e) { /* in a state not worth knowing */
        reader_free(r);
        return e;
    }
    reader_give(s, r);
    *ret_names = l.names;
    *ret_n = l.n;
    return NULL;
}

/* --- writing --- */

static int note_wal_pages(void *arg, sqlite3 *db UNUSED, const char *name UNUSED, int pages)
{
    struct sqlite *s = arg;
    if (pages < s->wal_pages) /* the log has begun anew */
        s->checkpoint_pages = CHECKPOINT_PAGES;
    s->wal_pages = pages;
    return SQLITE_OK;
}

/* Moves the log into the table. The commit before is durable whatever happens here. */
static void checkpoint_if_due(struct sqlite *s)
{
    if (s->wal_pages < s->checkpoint_pages)
        return;
    int code = sqlite3_wal_checkpoint_v2(s->writer, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    s->checkpoint_pages = s->wal_pages + CHECKPOINT_PAGES;
    if ((code & 0xff) == SQLITE_IOERR && !is_full(s->writer, sqlite3_extended_errcode(s->writer))) {
        log_error("storage.sqlite", "checkpoint failed", F_CSTR("error", sqlite3_errmsg(s->writer)));
        s->base.failed = true;
    }
}

static struct error *write_puts(struct sqlite *s, struct arena *a, const struct storage_batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        const struct storage_put *put = &batch->puts[i];
        sqlite3_stmt *stmt = s->stmt[put->deletes ? WRITE_DELETE : WRITE_PUT];
        bind_blob(stmt, 1, put->path.p, put->path.n);
        if (!put->deletes)
            bind_blob(stmt, 2, put->value.p, put->value.n);
        TRY(run(s, a, stmt));
    }
    return run(s, a, s->stmt[WRITE_COMMIT]);
}

static struct error *sqlite_commit(struct storage *base, struct arena *a, const struct storage_batch *batch)
{
    struct sqlite *s = sqlite_of(base);
    if (batch->n == 0)
        return NULL;
    TRY(run(s, a, s->stmt[WRITE_BEGIN]));
    struct error *e = write_puts(s, a, batch);
    sqlite3_clear_bindings(s->stmt[WRITE_PUT]);
    if (e) {
        if (!sqlite3_get_autocommit(s->writer)) { /* some failures have rolled back already */
            sqlite3_step(s->stmt[WRITE_ROLLBACK]);
            sqlite3_reset(s->stmt[WRITE_ROLLBACK]);
        }
        return e;
    }
    checkpoint_if_due(s);
    return NULL;
}

/* --- opening --- */

/* The file and its directory: a path that ends in .db is the file, any other the directory of coffer.db. */
static struct error *names_from_config(struct arena *a, const struct config_block *config, char **ret_dir,
                                       char **ret_file)
{
    str path = config_block_get(config, STR("path"));
    if (path.n == 0 || str_index(path, '\0') < path.n)
        return error_new(a, ERR_BAD_REQUEST, "'path' must be set");
    str dir = path, file = arena_fmt(a, "%.*s/coffer.db", PSTR(path));
    if (str_ends(path, STR(".db"))) {
        size_t slash = str_rindex(path, '/');
        dir = slash == path.n ? STR(".") : str_slice(path, 0, MAX(slash, 1));
        file = path;
    }
    *ret_dir = arena_cstr(a, dir);
    *ret_file = arena_cstr(a, file);
    return NULL;
}

/* SQLite would make the file readable by all; its log takes the file's mode. */
static struct error *file_make(struct arena *a, const struct sqlite *s)
{
    int fd = open(s->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? NULL : error_errno(a, errno, "open %s", s->file);
    close(fd);
    return fsync(s->dir) ? error_errno(a, errno, "fsync the directory of %s", s->file) : NULL;
}

/* The first column of the first row. */
static struct error *query(const struct sqlite *s, struct arena *a, const char *sql, str *ret_text)
{
    sqlite3_stmt *stmt;
    TRY(prepare(s, a, s->writer, &sql, 1, &stmt));
    struct error *e = sqlite3_step(stmt) == SQLITE_ROW ? NULL : fail(s, a, s->writer);
    if (!e)
        *ret_text = arena_str(a, str_from_cstr((const char *)sqlite3_column_text(stmt, 0)));
    sqlite3_finalize(stmt);
    return e;
}

static struct error *format_check(const struct sqlite *s, struct arena *a)
{
    str mode, version;
    uint64_t v;
    TRY(query(s, a, "pragma journal_mode", &mode));
    if (!str_eq(mode, STR("wal")))
        return error_new(a, ERR_INTERNAL, "storage %s: this file system cannot hold a write-ahead log",
                         s->file);
    TRY(query(s, a, "pragma user_version", &version));
    if (!str_parse_u64(version, &v) || v > FORMAT_VERSION)
        return error_new(a, ERR_INTERNAL, "storage %s is of format version %.*s, this program knows %d",
                         s->file, PSTR(version), FORMAT_VERSION);
    if (v == 0 && sqlite3_exec(s->writer, schema, NULL, NULL, NULL) != SQLITE_OK)
        return fail(s, a, s->writer);
    return NULL;
}

static struct error *writer_open(struct sqlite *s, struct arena *a)
{
    TRY(file_make(a, s));
    TRY(connect(s, a, SQLITE_OPEN_READWRITE, writer_setup, &s->writer));
    TRY(format_check(s, a));
    TRY(prepare(s, a, s->writer, writer_sql, WRITE_STATEMENTS, s->stmt));
    int code = sqlite3_wal_checkpoint_v2(s->writer, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    if (code != SQLITE_OK && code != SQLITE_BUSY) /* busy: someone else reads the file, which does no harm */
        return fail(s, a, s->writer);
    sqlite3_wal_hook(s->writer, note_wal_pages, s);
    return NULL;
}

static void sqlite_close(struct storage *base)
{
    struct sqlite *s = sqlite_of(base);
    for (struct reader *r = s->idle, *next; r; r = next) {
        next = r->next;
        reader_free(r);
    }
    disconnect(s->writer, s->stmt, WRITE_STATEMENTS, !base->failed);
    close(s->dir);
    mutex_done(&s->m);
    free(s->file);
    free(s);
}

/* Process-wide settings of SQLite: before its first use. */
static void library_setup(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_initialize();
}

static struct error *sqlite_open(struct arena *a, const struct config_block *config, struct storage **ret_s)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, library_setup);
    char *dir_name = NULL, *file_name = NULL;
    int dir = -1;
    TRY(names_from_config(a, config, &dir_name, &file_name));
    TRY(directory_lock(a, dir_name, &dir));
    struct sqlite *s = calloc(1, sizeof *s);
    char *file = strdup(file_name);
    if (!s || !file)
        die("out of memory");
    *s = (struct sqlite){.dir = dir, .file = file, .checkpoint_pages = CHECKPOINT_PAGES};
    mutex_init(&s->m);
    s->base.ops = &storage_sqlite;
    s->base.caps = (struct storage_caps){.transactional = true,
                                         .blocking = true,
                                         .value_bytes_max = VALUE_BYTES_MAX,
                                         .key_bytes_max = KEY_BYTES_MAX,
                                         .batch_max = BATCH_MAX};
    struct error *e = writer_open(s, a);
    if (e) {
        s->base.failed = true; /* nothing of ours to save: close at once */
        sqlite_close(&s->base);
        return e;
    }
    *ret_s = &s->base;
    return NULL;
}

const struct storage_ops storage_sqlite = {
    .type = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .get = sqlite_get,
    .list = sqlite_list,
    .commit = sqlite_commit,
};
