/* Commands of the peers that this program does not have: each says so, and what does the work instead. */
#include "cli/cmd.h"

const struct flag agent_flags[] = {
    {"config", FLAG_STRINGS, .help = "Configuration file; may be given several times."},
    {"exit-after-auth", FLAG_BOOL, .help = "End after the first login."},
    {"log-file", FLAG_STRING, .help = "File for the log."},
    {"log-format", FLAG_STRING, .help = "standard or json."},
    {"log-level", FLAG_STRING, .help = "trace, debug, info, warn or error."},
    {"log-rotate-bytes", FLAG_INT, .help = "Size at which the file is replaced."},
    {"log-rotate-duration", FLAG_STRING, .help = "Age at which the file is replaced."},
    {"log-rotate-max-files", FLAG_INT, .help = "How many old files are kept."},
    {0},
};

static const struct {
    const char *name, *instead;
} words[] = {
    {"agent", "coffer has no agent; Vault's agent works with a coffer server"},
    {"agent generate-config", "coffer has no agent; Vault's agent works with a coffer server"},
    {"operator migrate", "the storages file, sqlite and inmem are all there is; to move, stop the server and "
                         "read the old store with the old configuration, write the new one through the API"},
    {"operator raft autopilot", "coffer has no raft storage; Vault's own command line manages autopilot"},
    {"operator raft snapshot", "coffer has no raft storage; a store is copied with the tools of its storage"},
    {"pki", "the pki engine is reached by read and write, such as `write pki/issue/ROLE common_name=NAME`"},
    {"proxy", "coffer has no proxy; Vault's proxy works with a coffer server"},
    {"ssh",
     "sign a key with `write -field=signed_key ssh/sign/ROLE public_key=@KEY.pub` and run ssh with it"},
    {"transform", "the transform engine is part of Vault's Enterprise edition only"},
    {"transit", "wrap the key with the one that `read transit/wrapping_key` prints and write it to "
                "transit/keys/NAME/import"},
};

struct error *cmd_absent(struct cli *c)
{
    const char *instead = "";
    str name = str_from_cstr(c->command->name);
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (str_starts(name, str_from_cstr(words[i].name)))
            instead = words[i].instead;
    return usage_error(c, "%.*s %.*s is not there: %s.", PSTR(c->called), PSTR(name), instead);
}

/* agent and proxy: that a configuration is missing is said first, as scripts know it. */
struct error *cmd_agent(struct cli *c)
{
    if (!flag_value(&c->flags, "config")->n)
        return usage_error(c, "Must specify exactly at least one config path using -config");
    return cmd_absent(c);
}
