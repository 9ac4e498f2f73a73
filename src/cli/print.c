/* What commands print: lines, values, secrets and lists in the format asked for. */
#include "cli/cli.h"
#include "cli/secret_table.h"
#include "cli/yaml.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

enum { OUTPUT_BYTES_MAX = 128 * 1024 * 1024, WARNING_WIDTH = 72 };

void cli_print(struct cli *c, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vfprintf(c->out, fmt, args);
    va_end(args);
    fputc('\n', c->out);
}

void cli_warn(struct cli *c, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs(c->color ? "\033[93m" : "", c->err);
    vfprintf(c->err, fmt, args);
    fputs(c->color ? "\033[0m\n" : "\n", c->err);
    va_end(args);
}

void cli_progress(struct cli *c, const char *fmt, ...)
{
    va_list args;
    if (!c->terminal || c->format != OUTPUT_TABLE)
        return;
    va_start(args, fmt);
    fputs("\r\033[K", c->out);
    vfprintf(c->out, fmt, args);
    va_end(args);
    fflush(c->out);
}

void cli_put(struct cli *c, str text)
{
    fwrite(text.p, 1, text.n, c->out);
}

void cli_put_value(struct cli *c, str text)
{
    cli_put(c, text);
    int fd = fileno(c->out);
    if (fd >= 0 && isatty(fd))
        fputc('\n', c->out);
}

static struct error *formatted(struct cli *c, const struct json *v, str *ret_text)
{
    struct buf b;
    buf_init(&b, c->arena, OUTPUT_BYTES_MAX);
    if (c->format == OUTPUT_PRETTY)
        return usage_error(c, "Could not parse output: the pretty format is not supported by this command");
    if (c->format == OUTPUT_YAML) {
        yaml_write(&b, v);
    } else {
        json_write_indented(&b, v, 2);
        buf_put_byte(&b, '\n');
    }
    *ret_text = buf_str(&b);
    return NULL;
}

struct error *json_print(struct cli *c, const struct json *v)
{
    str text;
    TRY(formatted(c, v, &text));
    cli_put(c, text);
    return NULL;
}

void table_print(struct cli *c, const struct table *t, bool header)
{
    struct buf b;
    buf_init(&b, c->arena, OUTPUT_BYTES_MAX);
    table_write(&b, t, header);
    cli_put(c, buf_str(&b));
}

void warnings_print(struct cli *c, const struct json *secret)
{
    const struct json *warnings = json_get(secret, STR("warnings"));
    if (json_is_null(warnings) || warnings->type != JSON_ARRAY || !warnings->n)
        return;
    cli_warn(c, "WARNING! The following warnings were returned from Vault:\n");
    for (uint32_t i = 0; i < warnings->n; i++) {
        struct buf b;
        buf_init(&b, c->arena, OUTPUT_BYTES_MAX);
        wrapped_write(&b, value_text(c->arena, warnings->items[i]), WARNING_WIDTH, "    ");
        str text = buf_str(&b);
        cli_warn(c, "  * %.*s", PSTR(str_from(text, 4)));
    }
}

struct error *field_print(struct cli *c, const struct json *value, str name)
{
    if (json_is_null(value))
        return usage_error(c, "Field \"%.*s\" not present in secret", PSTR(name));
    if (c->format != OUTPUT_JSON && c->format != OUTPUT_YAML) {
        cli_put_value(c, value_text(c->arena, value));
        return NULL;
    }
    str text;
    TRY(formatted(c, value, &text));
    if (c->format == OUTPUT_YAML)
        cli_put(c, text); /* its last line has an end, on a pipe too */
    else
        cli_put_value(c, str_slice(text, 0, text.n - 1));
    return NULL;
}

struct error *secret_print(struct cli *c, const struct json *secret)
{
    const struct flag_value *field = flag_find(&c->flags, "field");
    if (field && field->text.n)
        return field_print(c, secret_field(c->arena, secret, field->text), field->text);
    if (c->format != OUTPUT_TABLE)
        return json_print(c, secret);
    struct table t;
    table_init(&t, c->arena, 2);
    secret_rows(&t, secret);
    warnings_print(c, secret);
    if (t.rows > 1)
        table_print(c, &t, true);
    return NULL;
}

struct error *secret_or_success(struct cli *c, const struct json *secret, const char *fmt, ...)
{
    if (secret)
        return secret_print(c, secret);
    if (c->format != OUTPUT_TABLE)
        return NULL;
    va_list args;
    va_start(args, fmt);
    fputs("Success! ", c->out);
    vfprintf(c->out, fmt, args);
    va_end(args);
    fputc('\n', c->out);
    return NULL;
}

/* Columns of key_info: every member name of any of its entries, sorted. */
static struct json *info_headers(struct arena *a, const struct json *info)
{
    struct json *names = json_object(a);
    for (uint32_t i = 0; info && info->type == JSON_OBJECT && i < info->n; i++) {
        const struct json *entry = info->members[i].value;
        for (uint32_t j = 0; entry->type == JSON_OBJECT && j < entry->n; j++)
            json_set(a, names, entry->members[j].key, json_null(a));
    }
    return names;
}

static void list_table(struct cli *c, const struct json *secret, const struct json *keys)
{
    struct arena *a = c->arena;
    const struct json *info = json_get(json_get(secret, STR("data")), STR("key_info"));
    struct json *names = info_headers(a, c->detailed ? info : NULL);
    size_t columns = MIN(names->n + 1, TABLE_COLUMNS_MAX);
    str *headers = keys_sorted(a, names);
    str cells[TABLE_COLUMNS_MAX] = {STR("Keys")};
    for (size_t i = 1; i < columns; i++)
        cells[i] = headers[i - 1];
    struct table t;
    table_init(&t, a, columns);
    table_row(&t, cells);
    str *rows = ARENA_ARRAY(a, str, keys->n);
    for (uint32_t i = 0; i < keys->n; i++)
        rows[i] = value_text(a, keys->items[i]);
    strings_sort(rows, keys->n);
    for (uint32_t i = 0; i < keys->n; i++) {
        cells[0] = rows[i];
        for (size_t j = 1; j < columns; j++) {
            const struct json *value = json_get(json_get(info, rows[i]), headers[j - 1]);
            cells[j] = value ? value_text(a, value) : (str){0};
        }
        table_row(&t, cells);
    }
    table_print(c, &t, true);
}

struct error *list_print(struct cli *c, const struct json *secret, str path)
{
    if (json_get(secret, STR("wrap_info")))
        return secret_print(c, secret);
    const struct json *keys = secret_keys(secret);
    bool is_table = c->format == OUTPUT_TABLE;
    if (!keys && !is_table) {
        TRY(json_print(c, json_object(c->arena)));
        c->exit_code = 2;
        return NULL;
    }
    if (!keys) {
        bool no_data = json_is_null(json_get(secret, STR("data")));
        return error_new(c->arena, ERR_NOT_FOUND, "No %s found at %.*s", no_data ? "value" : "entries",
                         PSTR(path));
    }
    if (!is_table)
        return json_print(c, c->detailed ? secret : keys);
    warnings_print(c, secret);
    list_table(c, secret, keys);
    return NULL;
}
