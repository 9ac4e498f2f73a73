#include "client/environment.h"

#include "config/config.h"

static str lookup(const struct environment *e, str prefix, str name)
{
    for (const char *const *v = e->vars; *v; v++) {
        str var = str_from_cstr(*v);
        if (!str_starts(var, prefix) || !str_starts(str_from(var, prefix.n), name))
            continue;
        size_t n = prefix.n + name.n;
        if (n < var.n && var.p[n] == '=')
            return str_from(var, n + 1);
    }
    return (str){0};
}

str environment_get(const struct environment *e, str name)
{
    return lookup(e, (str){0}, name);
}

str environment_setting(const struct environment *e, str suffix)
{
    str own = str_eq(e->program, STR("vault")) ? STR("VAULT_")
              : str_eq(e->program, STR("bao")) ? STR("BAO_")
                                               : STR("COFFER_");
    const str prefixes[] = {own, STR("COFFER_"), STR("BAO_"), STR("VAULT_")};
    for (size_t i = 0; i < COUNT_OF(prefixes); i++) {
        str value = lookup(e, prefixes[i], suffix);
        if (value.n)
            return value;
    }
    return (str){0};
}

bool bool_from_str(str s, bool *ret_value)
{
    return s.n > 0 && config_bool_from_str(s, ret_value);
}
