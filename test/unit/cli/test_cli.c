#include "../base/check.h"
#include "cli/cli.h"

#include <stdlib.h>
#include <unistd.h>

struct run {
    int code;
    char *out, *err;
};

static struct run run(const char *const *args, const char *const *vars)
{
    static const char *const none[] = {"HOME=/nonexistent", NULL};
    char *argv[12] = {0};
    int argc = 0;
    for (; args[argc]; argc++)
        argv[argc] = strdup(args[argc]);
    struct run r = {0};
    size_t n;
    FILE *out = open_memstream(&r.out, &n);
    FILE *err = open_memstream(&r.err, &n);
    r.code = cli_run(argc, argv, vars ? vars : none, STDIN_FILENO, out, err);
    fclose(out);
    fclose(err);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return r;
}

static void run_free(struct run r)
{
    free(r.out);
    free(r.err);
}

static const struct {
    const char *args[8];
    int code;
    const char *out, *err; /* NULL: something; "" nothing */
} calls[] = {
    {{"coffer"}, 127, "", NULL},
    {{"coffer", "-h"}, 0, NULL, ""},
    {{"coffer", "bogus"}, 127, "", NULL},
    {{"coffer", "help"}, 127, "", NULL},
    {{"coffer", "seal"}, 127, "", NULL},
    {{"coffer", "policy-delete"},
     1,
     "",
     "`coffer policy-delete` is the old name of `coffer policy delete`.\nNot enough arguments (expected 1, "
     "got "
     "0)\n"},
    {{"vault", "ssh", "-mode=otp", "u@h"}, 1, "", NULL},
    {{"vault", "agent"}, 1, "Must specify exactly at least one config path using -config\n", ""},
    {{"coffer", "plugin", "info", "odd", "kv"},
     1,
     "",
     "\"odd\" is no type of plugin: auth, database or secret\n"},
    {{"coffer", "plugin", "register", "secret", "kv"},
     1,
     "",
     "SHA256 is required for all plugins, please provide -sha256\n"},
    {{"coffer", "plugin", "reload"},
     1,
     "",
     "No plugins specified, must specify exactly one of -plugin or -mounts\n"},
    {{"coffer", "namespace", "patch", "x"},
     1,
     "",
     "Must supply at least one of -custom-metadata or -remove-custom-metadata\n"},
    {{"coffer", "operator", "usage", "-start-time=1990"},
     1,
     "",
     "invalid value \"1990\" for flag -start-time: give RFC 3339, YYYY-MM-DD, YYYY-MM or Unix seconds\n"},
    {{"coffer", "secrets"}, 1, "", NULL},
    {{"coffer", "kv", "metadata", "bogus"}, 1, "", NULL},
    {{"coffer", "-address=x", "status"}, 1, "", NULL},
    {{"coffer", "read", "-h"}, 0, NULL, ""},
    {{"coffer", "version"}, 0, "Coffer v" COFFER_VERSION " (API of Vault 1.14.7)\n", ""},
    {{"/usr/bin/vault", "version"}, 0, "Vault v1.14.7+coffer." COFFER_VERSION "\n", ""},
    {{"coffer", "--version"}, 0, "Coffer v" COFFER_VERSION " (API of Vault 1.14.7)\n", ""},
    {{"coffer", "read", "-bogus", "x"},
     1,
     "",
     "flag provided but not defined: -bogus\n`coffer read -h` lists the flags.\n"},
    {{"coffer", "read", "-output-policy", "sys/raw/x"},
     0,
     "path \"sys/raw/x\" {\n  capabilities = [\"read\", \"sudo\"]\n}\n",
     ""},
    {{"coffer", "write", "-output-curl-string", "-address=http://h", "x", "a=b'c"},
     0,
     "curl -X PUT -H \"X-Vault-Request: true\" -H \"Content-Type: application/json\" -d "
     "'{\"a\":\"b'\"'\"'c\"}' http://h/v1/x\n",
     ""},
    {{"coffer", "print", "token", "-output-policy"}, 1, NULL, NULL},
    {{"coffer", "secrets", "enable", "-format=json", "kv"},
     1,
     "",
     "flag provided but not defined: -format\n"},
    {{"coffer", "read", "-fild=x", "y"},
     1,
     "",
     "flag provided but not defined: -fild\nDid you mean -field?\n"},
    {{"coffer", "operator", "init", "-consul-auto"},
     1,
     "",
     "-consul-auto is not there: name the server by -address or VAULT_ADDR.\n"},
    {{"coffer", "read", "-format=xml", "x"}, 1, "", "Invalid output format: xml\n"},
    {{"coffer", "list", "-format=raw", "kv"},
     1,
     "",
     "This command does not support the -format=raw option.\n"},
    {{"coffer", "read"}, 1, "", "Not enough arguments (expected 1, got 0)\n"},
    {{"coffer", "delete"}, 1, "", "Not enough arguments (expected at least 1, got 0)\n"},
    {{"coffer", "list", "a", "b"}, 1, "", "Too many arguments (expected 1, got 2)\n"},
    {{"coffer", "unwrap", "a", "b"}, 1, "", "Too many arguments (expected 0-1, got 2)\n"},
    {{"coffer", "write", "x"}, 1, "", "Must supply data or use -force\n"},
    {{"coffer", "write", "-output-policy", "x", ""},
     0,
     "path \"x\" {\n  capabilities = [\"create\", \"update\"]\n}\n",
     ""}, /* counted, and no value */
    {{"coffer", "write", "-output-curl-string", "-address=", "x", ""},
     0,
     "curl -X PUT -H \"X-Vault-Request: true\" -H \"Content-Type: application/json\" -d '{}' "
     "https://127.0.0.1:8200/v1/x\n",
     ""},
    {{"coffer", "patch", "x"}, 1, "", "Must supply data or use -force\n"},
    {{"coffer", "read", "-output-policy=false", "-address=http://127.0.0.1:1", "x"},
     2,
     "",
     "Error reading x: Get \"http://127.0.0.1:1/v1/x\": dial tcp 127.0.0.1:1: connect: connection refused\n"
     "No server listens there. VAULT_ADDR or -address says which one to ask.\n"},
    {{"coffer", "read", "-output-curl-string=true", "-address=http://h", "x"},
     0,
     "curl -H \"X-Vault-Request: true\" http://h/v1/x\n",
     ""},
    {{"coffer", "token", "revoke"}, 1, "", "Not enough arguments (expected 1 or -self, got 0)\n"},
    {{"coffer", "token", "revoke", "-mode=bad", "x"}, 1, "", "Invalid mode: bad\n"},
    {{"coffer", "kv", "rollback", "-version=0", "x"}, 1, "", "Invalid value 0 for the version flag\n"},
    {{"coffer", "lease", "lookup"}, 1, "", "Missing ID!\n"},
    {{"coffer", "policy", "fmt", "missing.hcl"},
     1,
     "",
     "Error reading source file: open missing.hcl: no such file or directory\n"},
    {{"coffer", "print", "token"}, 0, "\n", ""},
    {{"coffer", "secrets", "list", "-header=X-Vault-Foo=b"},
     2,
     "",
     "failed to setup Headers[X-Vault-Foo]: Header starting by 'X-Vault-' are for internal usage only\n"},
};

static void exit_codes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        struct run r = run(calls[i].args, NULL);
        if (r.code != calls[i].code)
            print_error("row %zu: %s", i, r.err);
        assert_int_equal(r.code, calls[i].code);
        if (calls[i].out)
            assert_string_equal(r.out, calls[i].out);
        else
            assert_true(strlen(r.out) > 0);
        if (calls[i].err)
            assert_string_equal(r.err, calls[i].err);
        else
            assert_true(strlen(r.err) > 0);
        run_free(r);
    }
}

static void suggestions(void **state)
{
    (void)state;
    static const struct {
        const char *args[5], *line;
    } rows[] = {
        {{"coffer", "sttus"}, "Did you mean `coffer status`?\n"},
        {{"coffer", "operator", "unsael", "k"}, "Did you mean `coffer operator unseal`?\n"},
        {{"vault", "kv", "metadata", "gett"}, "Did you mean `vault kv metadata get`?\n"},
        {{"coffer", "nothing-like-it"}, "Usage: "},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct run r = run(rows[i].args, NULL);
        assert_memory_equal(r.err, rows[i].line, strlen(rows[i].line));
        run_free(r);
    }
}

static void settings(void **state)
{
    (void)state;
    static const struct {
        const char *args[6], *vars[4];
        int code;
        const char *out, *err;
    } rows[] = {
        {{"coffer", "version"}, {"VAULT_FORMAT=xml"}, 1, "", "Invalid output format: xml\n"},
        {{"coffer", "print", "token"}, {"VAULT_TOKEN=v", "BAO_TOKEN=b", "COFFER_TOKEN=c"}, 0, "c\n", ""},
        {{"vault", "print", "token"}, {"VAULT_TOKEN=v", "BAO_TOKEN=b", "COFFER_TOKEN=c"}, 0, "v\n", ""},
        {{"bao", "print", "token"}, {"VAULT_TOKEN=v", "BAO_TOKEN="}, 0, "v\n", ""},
        {{"coffer", "print", "token"},
         {"VAULT_SKIP_VERIFY=maybe", "VAULT_TOKEN=v"},
         2,
         "",
         "failed to read environment: could not parse VAULT_SKIP_VERIFY\n"},
        {{"coffer", "secrets", "list"},
         {"VAULT_TOKEN=a\nb"},
         2,
         "",
         "Error listing secrets engines: configured Vault token contains non-printable characters and cannot "
         "be used\n"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct run r = run(rows[i].args, rows[i].vars);
        assert_string_equal(r.err, rows[i].err);
        assert_string_equal(r.out, rows[i].out);
        assert_int_equal(r.code, rows[i].code);
        run_free(r);
    }
}

/* Every command has a group, help, and flags that are each of one name. */
static void rows_are_sound(void **state)
{
    (void)state;
    for (const struct command *row = commands; row->name; row++) {
        if (row[1].name)
            assert_true(strcmp(row->name, row[1].name) < 0);
        assert_true(row->synopsis && row->synopsis[0]);
        const struct flag *sets[FLAG_SETS_MAX];
        command_flag_sets(row, sets);
        for (size_t i = 0; i < FLAG_SETS_MAX; i++)
            for (const struct flag *f = sets[i]; f && f->name; f++) {
                assert_non_null(f->help);
                for (size_t j = 0; j < FLAG_SETS_MAX; j++)
                    for (const struct flag *g = sets[j]; g && g->name; g++)
                        assert_true(f == g || strcmp(f->name, g->name) != 0);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_codes),
        cmocka_unit_test(suggestions),
        cmocka_unit_test(settings),
        cmocka_unit_test(rows_are_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
