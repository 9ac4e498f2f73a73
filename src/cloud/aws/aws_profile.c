#include "cloud/aws/aws_private.h"

str profile_get(str text, str section, str key)
{
    bool inside = false;

    while (text.n > 0) {
        str line, name, value;

        str_cut(text, '\n', &line, &text);
        line = str_trim(line);
        if (line.n == 0 || line.p[0] == '#' || line.p[0] == ';')
            continue;
        if (line.p[0] == '[') {
            inside = line.p[line.n - 1] == ']' && str_eq(str_trim(str_slice(line, 1, line.n - 1)), section);
            continue;
        }
        if (inside && str_cut(line, '=', &name, &value) && str_eq_nocase(str_trim(name), key))
            return str_trim(value);
    }
    return (str){0};
}

/* No attributes, no entities: the token service's members are plain. */
str xml_text(str xml, str name)
{
    char open[64], close[64];

    if (name.n + 3 > sizeof(open))
        return (str){0};
    open[0] = close[0] = '<';
    close[1] = '/';
    memcpy(open + 1, name.p, name.n);
    memcpy(close + 2, name.p, name.n);
    open[name.n + 1] = close[name.n + 2] = '>';
    size_t from = str_find(xml, (str){open, name.n + 2});

    if (from == xml.n)
        return (str){0};
    str rest = str_from(xml, from + name.n + 2);
    size_t to = str_find(rest, (str){close, name.n + 3});

    return to == rest.n ? (str){0} : str_trim(str_slice(rest, 0, to));
}
