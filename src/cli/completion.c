#include "cli/completion.h"

#include "base/clock.h"

#include <dirent.h>

enum { WORDS_MAX = 1000, SOURCES_MAX = 3, ASK_NS = NS_PER_S / 2 };

enum source {
    NOTHING,
    PATHS,
    KEYS,
    POLICIES,
    MOUNTS,
    METHODS,
    DEVICES,
    FILES,
    ENGINE_TYPES,
    METHOD_TYPES,
    DEVICE_TYPES,
    PLUGIN_TYPES,
    OPERATIONS
};

/* What the arguments of a command are. */
static const struct {
    const char *command;
    enum source args[SOURCES_MAX];
} argument_rows[] = {
    {"audit disable", {DEVICES}},
    {"audit enable", {DEVICE_TYPES}},
    {"auth disable", {METHODS}},
    {"auth enable", {METHOD_TYPES}},
    {"auth help", {METHOD_TYPES}},
    {"auth move", {METHODS, METHODS}},
    {"auth tune", {METHODS}},
    {"delete", {PATHS}},
    {"kv delete", {KEYS}},
    {"kv destroy", {KEYS}},
    {"kv enable-versioning", {MOUNTS}},
    {"kv get", {KEYS}},
    {"kv list", {KEYS}},
    {"kv metadata delete", {KEYS}},
    {"kv metadata get", {KEYS}},
    {"kv metadata patch", {KEYS}},
    {"kv metadata put", {KEYS}},
    {"kv patch", {KEYS}},
    {"kv put", {KEYS}},
    {"kv rollback", {KEYS}},
    {"kv undelete", {KEYS}},
    {"list", {PATHS}},
    {"patch", {PATHS}},
    {"path-help", {PATHS}},
    {"plugin deregister", {PLUGIN_TYPES}},
    {"plugin info", {PLUGIN_TYPES}},
    {"plugin list", {PLUGIN_TYPES}},
    {"plugin register", {PLUGIN_TYPES}},
    {"policy delete", {POLICIES}},
    {"policy explain", {OPERATIONS, PATHS}},
    {"policy fmt", {FILES}},
    {"policy read", {POLICIES}},
    {"policy test", {FILES, FILES}},
    {"policy write", {POLICIES, FILES}},
    {"read", {PATHS}},
    {"secrets disable", {MOUNTS}},
    {"secrets enable", {ENGINE_TYPES}},
    {"secrets move", {MOUNTS, MOUNTS}},
    {"secrets tune", {MOUNTS}},
    {"write", {PATHS}},
};

/* What the values of a flag are: of these words, or of a source. */
static const struct {
    const char *flag, *words;
    enum source source;
} value_rows[] = {
    {"ca-cert", NULL, FILES},
    {"ca-path", NULL, FILES},
    {"client-cert", NULL, FILES},
    {"client-key", NULL, FILES},
    {"config", NULL, FILES},
    {"format", "json table yaml", NOTHING},
    {"listing-visibility", "hidden unauth", NOTHING},
    {"log-format", "json standard", NOTHING},
    {"log-level", "debug error info trace warn", NOTHING},
    {"method", "aws cert github ldap okta patch radius rw token userpass", NOTHING},
    {"mode", "orphan path", NOTHING},
    {"mount", NULL, MOUNTS},
    {"pgp-keys", NULL, FILES},
    {"policy", NULL, POLICIES},
    {"recovery-pgp-keys", NULL, FILES},
    {"root-token-pgp-key", NULL, FILES},
    {"token-type", "batch default-batch default-service service", NOTHING},
    {"type", "batch service", NOTHING},
};

static void offer(struct cli *c, str candidate, str start)
{
    if (candidate.n && str_starts(candidate, start))
        cli_print(c, "%.*s", PSTR(candidate));
}

static void offer_words(struct cli *c, const char *words, str start)
{
    str word;
    for (str rest = str_from_cstr(words); rest.n; offer(c, word, start))
        str_cut(rest, ' ', &word, &rest);
}

/* ---- what the server knows ---- */

static const struct json *ask(struct cli *c, const char *method, str path)
{
    struct client_request rq = {.method = method, .path = path, .never_wrap = true};
    struct client *client;
    struct client_answer answer;
    if (cli_client(c, &client) || client_send(client, c->arena, &rq, &answer) || answer.status != 200)
        return NULL;
    return json_get(answer.json, STR("data"));
}

static void offer_keys(struct cli *c, str path, str before, str start)
{
    const struct json *keys = json_get(ask(c, "LIST", path), STR("keys"));
    for (uint32_t i = 0; keys && keys->type == JSON_ARRAY && i < keys->n; i++)
        offer(c, arena_join(c->arena, before, value_text(c->arena, keys->items[i])), start);
}

static void offer_members(struct cli *c, const struct json *object, str start)
{
    for (uint32_t i = 0; object && object->type == JSON_OBJECT && i < object->n; i++)
        offer(c, object->members[i].key, start);
}

static void offer_mounts(struct cli *c, const char *kind, str start)
{
    offer_members(c, json_get(ask(c, "GET", STR("sys/internal/ui/mounts")), str_from_cstr(kind)), start);
}

/* A folder of the path so far. A key of kv 2 is listed below MOUNT/metadata/. */
static void offer_paths(struct cli *c, str start, bool is_key)
{
    size_t slash = str_rindex(start, '/');
    str folder = slash < start.n ? str_slice(start, 0, slash + 1) : (str){0};
    if (!folder.n) {
        offer_mounts(c, "secret", start);
        return;
    }
    str path = folder;
    if (is_key) {
        const struct json *mount =
            ask(c, "GET", arena_join(c->arena, STR("sys/internal/ui/mounts/"), folder));
        str at = json_get_str(mount, STR("path"));
        if (str_eq(json_get_str(json_get(mount, STR("options")), STR("version")), STR("2")))
            path = arena_fmt(c->arena, "%.*smetadata/%.*s", PSTR(at), PSTR(str_from(folder, at.n)));
    }
    offer_keys(c, path, folder, start);
}

/* ---- what this machine knows ---- */

static void offer_files(struct cli *c, str start)
{
    size_t slash = str_rindex(start, '/');
    str folder = slash < start.n ? str_slice(start, 0, slash + 1) : (str){0};
    char *at = arena_cstr(c->arena, folder.n ? folder : STR("."));
    DIR *d = at ? opendir(at) : NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        str name = str_from_cstr(e->d_name);
        if (name.p[0] != '.' || str_starts(str_from(start, folder.n), STR(".")))
            offer(c, arena_fmt(c->arena, "%.*s%s%s", PSTR(folder), e->d_name, e->d_type == DT_DIR ? "/" : ""),
                  start);
    }
    if (d)
        closedir(d);
}

static void offer_from(struct cli *c, enum source source, str start)
{
    switch (source) {
    case NOTHING: return;
    case PATHS: offer_paths(c, start, false); return;
    case KEYS: offer_paths(c, start, true); return;
    case POLICIES: offer_keys(c, STR("sys/policies/acl"), (str){0}, start); return;
    case MOUNTS: offer_mounts(c, "secret", start); return;
    case METHODS: offer_mounts(c, "auth", start); return;
    case DEVICES: offer_members(c, ask(c, "GET", STR("sys/audit")), start); return;
    case FILES: offer_files(c, start); return;
    case ENGINE_TYPES: offer_words(c, "aws cubbyhole database kv pki ssh totp transit", start); return;
    case METHOD_TYPES:
        offer_words(c, "approle aws cert github jwt kubernetes ldap oidc okta radius token userpass", start);
        return;
    case DEVICE_TYPES: offer_words(c, "file socket syslog", start); return;
    case PLUGIN_TYPES: offer_words(c, "auth database secret", start); return;
    case OPERATIONS: offer_words(c, "create delete list patch read update", start); return;
    }
}

/* ---- the line ---- */

static size_t words_of(struct cli *c, str line, str words[WORDS_MAX])
{
    size_t n = 0;
    str rest = line;
    while (rest.n && n < WORDS_MAX) {
        str word;
        str_cut(rest, ' ', &word, &rest);
        if (word.n)
            words[n++] = word;
    }
    if (n < WORDS_MAX && (!line.n || line.p[line.n - 1] == ' '))
        words[n++] = arena_str(c->arena, (str){0});
    return n;
}

static void offer_commands(struct cli *c, str group, str start)
{
    for (const struct command *row = commands; row->name; row++) {
        str name = str_from_cstr(row->name);
        if (group.n && (!str_starts(name, group) || name.n <= group.n || name.p[group.n] != ' '))
            continue;
        str last = group.n ? str_from(name, group.n + 1) : name;
        if (str_index(last, ' ') == last.n && !(row->flags & (COMMAND_HIDDEN | COMMAND_ABSENT)))
            offer(c, last, start);
    }
}

static const struct flag *flag_of(const struct command *of, str word)
{
    const struct flag *sets[FLAG_SETS_MAX];
    str name = str_from(word, str_starts(word, STR("--")) ? 2 : 1);
    command_flag_sets(of, sets);
    for (size_t i = 0; i < FLAG_SETS_MAX; i++)
        for (const struct flag *row = sets[i]; row && row->name; row++)
            if (str_eq(name, str_from_cstr(row->name)) ||
                (row->alias && str_eq(name, str_from_cstr(row->alias))))
                return row;
    return NULL;
}

static void offer_flags(struct cli *c, str start)
{
    const struct flag *sets[FLAG_SETS_MAX];
    command_flag_sets(c->command, sets);
    for (size_t i = 0; i < FLAG_SETS_MAX; i++)
        for (const struct flag *row = sets[i]; row && row->name; row++)
            offer(c, arena_fmt(c->arena, "-%s", row->name), start);
    offer(c, STR("-help"), start);
}

static void offer_values(struct cli *c, const struct flag *of, str start)
{
    if (of->type == FLAG_BOOL)
        offer_words(c, "false true", start);
    for (size_t i = 0; i < COUNT_OF(value_rows); i++) {
        if (strcmp(value_rows[i].flag, of->name) != 0)
            continue;
        if (value_rows[i].words)
            offer_words(c, value_rows[i].words, start);
        else
            offer_from(c, value_rows[i].source, start);
    }
}

static void offer_arguments(struct cli *c, size_t at, str start)
{
    for (size_t i = 0; i < COUNT_OF(argument_rows); i++)
        if (at < SOURCES_MAX && strcmp(argument_rows[i].command, c->command->name) == 0)
            offer_from(c, argument_rows[i].args[at], start);
}

/* The client that the flags before the cursor ask for; one that answers late is as good as none. */
static void settle(struct cli *c, const str *args, size_t n)
{
    const struct flag *sets[FLAG_SETS_MAX];
    size_t used;
    command_flag_sets(c->command, sets);
    flags_init(&c->flags, c->arena, &c->env, sets);
    (void)!flags_parse(&c->flags, c->arena, args, n, &used);
    c->ask_ns = ASK_NS;
}

/* `args`: what stands behind the command's name; the last one is under the cursor. */
static void offer_for_command(struct cli *c, str *args, size_t n)
{
    str last = args[n - 1];
    size_t positional = 0;
    const struct flag *waiting = NULL; /* for its value */
    settle(c, args, n - 1);
    for (size_t i = 0; i + 1 < n; i++) {
        bool is_value = waiting != NULL;
        waiting = NULL;
        if (is_value)
            continue;
        if (args[i].n > 1 && args[i].p[0] == '-' && !positional) {
            const struct flag *row =
                str_index(args[i], '=') == args[i].n ? flag_of(c->command, args[i]) : NULL;
            waiting = row && row->type != FLAG_BOOL ? row : NULL;
        } else {
            positional++;
        }
    }
    str name;
    str value;
    if (waiting) {
        offer_values(c, waiting, last);
    } else if (str_starts(last, STR("-")) && str_cut(last, '=', &name, &value)) {
        const struct flag *row = flag_of(c->command, name);
        if (row)
            offer_values(c, row, value);
    } else if (str_starts(last, STR("-"))) {
        offer_flags(c, last);
    } else {
        offer_arguments(c, positional, last);
    }
}

void completion_print(struct cli *c, str line)
{
    str *words = ARENA_ARRAY(c->arena, str, WORDS_MAX);
    uint64_t point;
    if (str_parse_u64(environment_get(&c->env, STR("COMP_POINT")), &point))
        line = str_slice(line, 0, point);
    size_t n = words_of(c, line, words);
    if (n < 2)
        return;
    size_t used = 0;
    c->command = command_find(c->arena, words + 1, n - 2, &used);
    str group = c->command ? str_from_cstr(c->command->name) : (str){0};
    if (used == n - 2)
        offer_commands(c, group, words[n - 1]);
    if (c->command && c->command->run)
        offer_for_command(c, words + 1 + used, n - 1 - used);
    else if (!c->command && n == 2 && str_starts(words[1], STR("-")))
        offer_words(c, "-autocomplete-install -autocomplete-uninstall -help -version", words[1]);
}
