/* The scanner of HCL and its JSON form: characters to tokens, and the values of strings and heredocs. */
#include "base/buf.h"
#include "config/hcl_private.h"

enum { RUNE_END = 0, RUNE_BAD = 0xFFFD };

const char *token_name(enum token_type t)
{
    static const char *const names[] = {
        [T_ILLEGAL] = "ILLEGAL", [T_EOF] = "EOF",         [T_COMMENT] = "COMMENT", [T_IDENT] = "IDENT",
        [T_NUMBER] = "NUMBER",   [T_FLOAT] = "FLOAT",     [T_BOOL] = "BOOL",       [T_NULL] = "NULL",
        [T_STRING] = "STRING",   [T_HEREDOC] = "HEREDOC", [T_LBRACK] = "LBRACK",   [T_LBRACE] = "LBRACE",
        [T_COMMA] = "COMMA",     [T_PERIOD] = "PERIOD",   [T_COLON] = "COLON",     [T_RBRACK] = "RBRACK",
        [T_RBRACE] = "RBRACE",   [T_ASSIGN] = "ASSIGN",   [T_ADD] = "ADD",         [T_SUB] = "SUB",
    };
    return names[t];
}

/* Decodes the character at s (not empty). Bad UTF-8 is one byte of RUNE_BAD. */
static uint32_t rune_decode(str s, size_t *ret_n)
{
    const uint8_t *p = (const uint8_t *)s.p;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xC0 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : p[0] < 0xF8 ? 4 : 0;
    *ret_n = 1;
    if (n == 1)
        return p[0];
    if (n == 0 || n > s.n)
        return RUNE_BAD;
    uint32_t r = p[0] & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return RUNE_BAD;
        r = r << 6 | (p[i] & 0x3F);
    }
    if (r < least[n] || r > 0x10FFFF || (r >= 0xD800 && r <= 0xDFFF))
        return RUNE_BAD;
    *ret_n = n;
    return r;
}

static void put_rune(struct buf *b, uint32_t r)
{
    if (r < 0x80) {
        buf_put_byte(b, (uint8_t)r);
    } else if (r < 0x800) {
        buf_put_byte(b, (uint8_t)(0xC0 | r >> 6));
        buf_put_byte(b, (uint8_t)(0x80 | (r & 0x3F)));
    } else if (r < 0x10000) {
        buf_put_byte(b, (uint8_t)(0xE0 | r >> 12));
        buf_put_byte(b, (uint8_t)(0x80 | (r >> 6 & 0x3F)));
        buf_put_byte(b, (uint8_t)(0x80 | (r & 0x3F)));
    } else {
        buf_put_byte(b, (uint8_t)(0xF0 | r >> 18));
        buf_put_byte(b, (uint8_t)(0x80 | (r >> 12 & 0x3F)));
        buf_put_byte(b, (uint8_t)(0x80 | (r >> 6 & 0x3F)));
        buf_put_byte(b, (uint8_t)(0x80 | (r & 0x3F)));
    }
}

static bool is_digit(uint32_t r)
{
    return r >= '0' && r <= '9';
}

/* A letter of any script. Above ASCII: all but the blocks of punctuation, symbols, spaces and private use. */
static bool is_letter(uint32_t r)
{
    static const uint32_t others[][2] = {
        {0x80, 0xA9},       {0xAB, 0xB4},        {0xB6, 0xB9},     {0xBB, 0xBF},     {0xD7, 0xD7},
        {0xF7, 0xF7},       {0x2000, 0x2070},    {0x20A0, 0x20FF}, {0x2150, 0x2BFF}, {0x3000, 0x3004},
        {0x3008, 0x3030},   {0xE000, 0xF8FF},    {0xFE00, 0xFE6F}, {0xFEFF, 0xFF20}, {0xFFE0, 0xFFFF},
        {0x1F000, 0x1FAFF}, {0xE0000, 0x10FFFF},
    };
    if (r < 0x80)
        return (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || r == '_';
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (r >= others[i][0] && r <= others[i][1])
            return false;
    return true;
}

static int digit_value(uint32_t r)
{
    if (is_digit(r))
        return (int)r - '0';
    r |= 0x20;
    return r >= 'a' && r <= 'f' ? (int)r - 'a' + 10 : 16;
}

/* The place of the character read last. */
static struct hcl_pos scanner_pos(const struct scanner *s)
{
    if (s->at.col > 0)
        return (struct hcl_pos){s->at.line, s->at.col};
    return (struct hcl_pos){s->at.line - 1, s->line_cols};
}

static void scanner_fail(struct scanner *s, const char *text)
{
    s->err = text;
    s->err_pos = scanner_pos(s);
}

static uint32_t peek(const struct scanner *s)
{
    size_t n;
    return s->at.off < s->text.n ? rune_decode(str_from(s->text, s->at.off), &n) : RUNE_END;
}

/* The next character; RUNE_END at the end of the text, where only the column goes on counting. */
static uint32_t next(struct scanner *s)
{
    s->before = s->at;
    s->at.col++;
    if (s->at.off >= s->text.n)
        return RUNE_END;
    size_t n;
    uint32_t r = rune_decode(str_from(s->text, s->at.off), &n);
    s->at.off += n;
    if (r == RUNE_BAD && n == 1) {
        scanner_fail(s, "illegal UTF-8 encoding");
    } else if (r == '\n') {
        s->at.line++;
        s->line_cols = s->at.col;
        s->at.col = 0;
    } else if (r == 0) {
        scanner_fail(s, "unexpected null character (0x00)");
    }
    return r;
}

static void unread(struct scanner *s)
{
    s->at = s->before;
}

/* A word, number or comment that ends with the text has read `n` times past it: columns in later errors count
 * that. */
static void read_past_end(struct scanner *s, int n)
{
    for (; n > 0 && peek(s) == RUNE_END; n--)
        next(s);
}

static bool accept(struct scanner *s, uint32_t r)
{
    if (peek(s) != r)
        return false;
    next(s);
    return true;
}

/* The scanner stands on '#' or '/'. */
static void scan_comment(struct scanner *s, uint32_t first)
{
    if (first == '/' && accept(s, '*')) {
        for (uint32_t last = 0, r = next(s);; last = r, r = next(s)) {
            if (r == RUNE_END) {
                scanner_fail(s, "comment not terminated");
                return;
            }
            if (last == '*' && r == '/')
                return;
        }
    }
    if (first == '/' && peek(s) != '/') {
        scanner_fail(s, "expected '/' for comment");
        return;
    }
    while (peek(s) != '\n' && peek(s) != RUNE_END)
        next(s);
    read_past_end(s, 1);
}

static bool scan_digits(struct scanner *s, int base)
{
    bool any = false;
    for (; digit_value(peek(s)) < base; any = true)
        next(s);
    return any;
}

/* An error at the character after the number, which stays unread. */
static void number_fail(struct scanner *s, const char *text)
{
    struct scanner here = *s;
    next(s);
    scanner_fail(s, text);
    s->at = here.at;
    s->before = here.before;
}

/* `first` is the first digit, read already. */
static enum token_type scan_number(struct scanner *s, uint32_t first)
{
    size_t start = s->at.off;
    if (first == '0' && (peek(s) == 'x' || peek(s) == 'X')) {
        next(s);
        if (!scan_digits(s, 16))
            number_fail(s, "illegal hexadecimal number");
        read_past_end(s, 1);
        return T_NUMBER;
    }
    scan_digits(s, 10);
    str digits = str_slice(s->text, start, s->at.off);
    enum token_type type = T_NUMBER;
    if (accept(s, '.')) {
        type = T_FLOAT;
        scan_digits(s, 10);
    }
    if (accept(s, 'e') || accept(s, 'E')) {
        type = T_FLOAT;
        if (!accept(s, '-'))
            (void)accept(s, '+'); /* the sign is optional */
        if (!scan_digits(s, 10))
            number_fail(s, "illegal exponent");
    }
    if (type == T_FLOAT)
        return type;
    if (s->json && first == '0' && digits.n > 0)
        scanner_fail(s, "numbers cannot start with 0");
    /* the first digit after the 0 is not looked at: 08 is a number until it is read as one */
    for (size_t i = 1; !s->json && first == '0' && i < digits.n; i++)
        if (digits.p[i] >= '8') {
            number_fail(s, "illegal octal number");
            break;
        }
    read_past_end(s, first == '0' ? 1 : 2);
    return type;
}

/* n digits, the first of them `r`, read already. */
static void scan_escape_digits(struct scanner *s, uint32_t r, int base, int n)
{
    int start = n;
    while (n > 0 && digit_value(r) < base) {
        r = next(s);
        if (r == RUNE_END)
            break;
        n--;
    }
    if (n > 0)
        scanner_fail(s, "illegal char escape");
    if (n != start && r != RUNE_END)
        unread(s);
}

static void scan_escape(struct scanner *s)
{
    uint32_t r = next(s);
    switch (r) {
    case 'a':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
    case 'v':
    case '\\':
    case '"': break;
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7': scan_escape_digits(s, r, 8, 3); break;
    case 'x': scan_escape_digits(s, next(s), 16, 2); break;
    case 'u': scan_escape_digits(s, next(s), 16, 4); break;
    case 'U': scan_escape_digits(s, next(s), 16, 8); break;
    case '/':
        if (s->json)
            break;
        scanner_fail(s, "illegal char escape");
        break;
    default: scanner_fail(s, "illegal char escape");
    }
}

/* The opening quote is read. In HCL quotes and newlines inside ${…} belong to the string. */
static void scan_string(struct scanner *s)
{
    size_t braces = 0;
    for (;;) {
        uint32_t r = next(s);
        if (r == RUNE_END || (r == '\n' && braces == 0)) {
            scanner_fail(s, "literal not terminated");
            return;
        }
        if (r == '"' && braces == 0)
            return;
        if (!s->json && braces == 0 && r == '$' && accept(s, '{'))
            braces = 1;
        else if (braces > 0 && r == '{')
            braces++;
        else if (braces > 0 && r == '}')
            braces--;
        else if (r == '\\')
            scan_escape(s);
    }
}

/* Does this line (without its newline) end the heredoc: blanks, the anchor, carriage returns? For <<- the
 * anchor does not count without at least one byte of them. */
static bool is_heredoc_end(str line, str anchor, bool indented)
{
    size_t i = 0;
    if (line.n < anchor.n + indented)
        return false;
    while (i < line.n && (line.p[i] == ' ' || (line.p[i] >= '\t' && line.p[i] <= '\r')))
        i++;
    line = str_from(line, i);
    while (line.n > anchor.n && line.p[line.n - 1] == '\r')
        line.n--;
    return str_eq(line, anchor);
}

/* The first '<' is read. */
static void scan_heredoc(struct scanner *s)
{
    if (next(s) != '<') {
        scanner_fail(s, "heredoc expected second '<', didn't see it");
        return;
    }
    size_t start = s->at.off;
    bool indented = peek(s) == '-';
    uint32_t r = next(s);
    if (indented)
        r = next(s);
    while (is_letter(r) || is_digit(r))
        r = next(s);
    if (r == RUNE_END) {
        scanner_fail(s, "heredoc not terminated");
        return;
    }
    if (r != '\n') {
        scanner_fail(s, "invalid characters in heredoc anchor");
        return;
    }
    str anchor = str_slice(s->text, start + indented, s->at.off - 1);
    if (anchor.n == 0) {
        scanner_fail(s, "zero-length heredoc anchor");
        return;
    }
    for (size_t line = s->at.off;;) {
        r = next(s);
        if (r == RUNE_END) {
            scanner_fail(s, "heredoc not terminated");
            return;
        }
        if (r == '\n') {
            if (is_heredoc_end(str_slice(s->text, line, s->at.off - 1), anchor, indented))
                return;
            line = s->at.off;
        }
    }
}

static enum token_type scan_word(struct scanner *s)
{
    size_t start = s->before.off;
    for (uint32_t r = peek(s); is_letter(r) || is_digit(r) || r == '-' || (r == '.' && !s->json); r = peek(s))
        next(s);
    read_past_end(s, 1);
    str word = str_slice(s->text, start, s->at.off);
    if (str_eq(word, STR("true")) || str_eq(word, STR("false")))
        return T_BOOL;
    if (!s->json)
        return T_IDENT;
    if (str_eq(word, STR("null")))
        return T_NULL;
    scanner_fail(s, "illegal char");
    return T_ILLEGAL;
}

static enum token_type scan_hcl_sign(struct scanner *s, uint32_t r)
{
    switch (r) {
    case '#':
    case '/': scan_comment(s, r); return T_COMMENT;
    case '<': scan_heredoc(s); return T_HEREDOC;
    case '=': return T_ASSIGN;
    case '+': return T_ADD;
    default: scanner_fail(s, "illegal char"); return T_ILLEGAL;
    }
}

static enum token_type scan_sign(struct scanner *s, uint32_t r)
{
    switch (r) {
    case RUNE_END: return T_EOF;
    case '"': scan_string(s); return T_STRING;
    case '[': return T_LBRACK;
    case ']': return T_RBRACK;
    case '{': return T_LBRACE;
    case '}': return T_RBRACE;
    case ',': return T_COMMA;
    case '.':
        if (!is_digit(peek(s)))
            return T_PERIOD;
        unread(s);
        return scan_number(s, '.');
    case '-':
        if (is_digit(peek(s)))
            return scan_number(s, next(s));
        if (!s->json)
            return T_SUB;
        break;
    default: break;
    }
    if (!s->json)
        return scan_hcl_sign(s, r);
    if (r == ':')
        return T_COLON;
    scanner_fail(s, "illegal char");
    return T_ILLEGAL;
}

static struct token scan_token(struct scanner *s)
{
    uint32_t r;
    do {
        r = next(s);
    } while (r == ' ' || r == '\t' || r == '\n' || r == '\r');
    struct token t = {.pos = scanner_pos(s)};
    size_t start = s->before.off;
    if (is_letter(r))
        t.type = scan_word(s);
    else if (is_digit(r))
        t.type = scan_number(s, r);
    else
        t.type = scan_sign(s, r);
    t.text = str_slice(s->text, start, s->at.off);
    return t;
}

struct token scanner_next(struct scanner *s)
{
    struct token t;
    do {
        t = scan_token(s);
    } while (t.type == T_COMMENT);
    return t;
}

/* The number of n digits at *at, in `base`; false when they are not there. */
static bool take_digits(str s, size_t *at, uint32_t base, size_t n, uint32_t *ret)
{
    uint32_t v = 0;
    for (size_t i = 0; i < n; i++, ++*at) {
        uint32_t d = *at < s.n ? (uint32_t)digit_value((uint8_t)s.p[*at]) : 16;
        if (d >= base)
            return false;
        v = v * base + d;
    }
    *ret = v;
    return true;
}

/* \uXXXX and \UXXXXXXXX; in JSON two surrogates are one character, elsewhere each is U+FFFD. */
static bool unescape_rune(struct buf *b, str s, size_t *at, size_t digits, bool json)
{
    uint32_t r, low;
    if (!take_digits(s, at, 16, digits, &r) || r > 0x10FFFF)
        return false;
    if (r >= 0xD800 && r <= 0xDFFF) {
        size_t after = *at + 2;
        bool pair = json && r < 0xDC00 && str_starts(str_from(s, *at), STR("\\u")) &&
                    take_digits(s, &after, 16, 4, &low) && low >= 0xDC00 && low <= 0xDFFF;
        if (pair)
            *at = after;
        r = pair ? 0x10000 + ((r - 0xD800) << 10) + (low - 0xDC00) : RUNE_BAD;
    }
    put_rune(b, r);
    return true;
}

/* One escape; *at is behind the backslash. */
static bool unescape(struct buf *b, str s, size_t *at, bool json)
{
    static const char plain[][2] = {{'a', '\a'}, {'b', '\b'}, {'f', '\f'}, {'n', '\n'},  {'r', '\r'},
                                    {'t', '\t'}, {'v', '\v'}, {'"', '"'},  {'\\', '\\'}, {'/', '/'}};
    if (*at >= s.n)
        return false;
    char c = s.p[*at];
    for (size_t i = 0; i < COUNT_OF(plain); i++)
        if (c == plain[i][0]) {
            buf_put_byte(b, (uint8_t)plain[i][1]);
            ++*at;
            return true;
        }
    uint32_t v;
    if (c >= '0' && c <= '7') {
        if (!take_digits(s, at, 8, 3, &v) || v > 255)
            return false;
        buf_put_byte(b, (uint8_t)v);
        return true;
    }
    ++*at;
    if (c != 'x')
        return (c == 'u' || c == 'U') && unescape_rune(b, s, at, c == 'u' ? 4 : 8, json);
    if (!take_digits(s, at, 16, 2, &v))
        return false;
    buf_put_byte(b, (uint8_t)v);
    return true;
}

/* How many bytes of s, which starts with "${", go up to the closing brace. 0: there is none. */
static size_t template_length(str s)
{
    size_t braces = 1;
    for (size_t i = 2; i < s.n; i++) {
        if (s.p[i] == '{')
            braces++;
        else if (s.p[i] == '}' && --braces == 0)
            return i + 1;
    }
    return 0;
}

bool hcl_unquote(struct arena *a, str quoted, bool json, str *ret)
{
    str s = str_slice(quoted, 1, quoted.n - 1);
    if (str_index(s, '\\') == s.n) { /* as it stands */
        *ret = s;
        return true;
    }
    struct buf b;
    buf_init(&b, a, s.n);
    for (size_t i = 0; i < s.n;) {
        size_t n = !json && s.p[i] == '$' && str_starts(str_from(s, i), STR("${"))
                       ? template_length(str_from(s, i))
                       : 0;
        if (n > 0) {
            buf_put(&b, s.p + i, n);
            i += n;
        } else if (s.p[i] != '\\') {
            buf_put_byte(&b, (uint8_t)s.p[i++]);
        } else {
            i++;
            if (!unescape(&b, s, &i, json))
                return false;
        }
    }
    *ret = buf_str(&b);
    return true;
}

/* <<A keeps the text as it is, with the blanks before the closing anchor; <<-A takes the closing line's
 * indentation away from every line if every line has it, else only the closing line's own. */
str hcl_unindent(struct arena *a, str heredoc)
{
    size_t head = str_index(heredoc, '\n');
    bool unindent = heredoc.p[2] == '-';
    size_t anchor_bytes = head - (unindent ? 3 : 2);
    str body = str_from(heredoc, head + 1);
    size_t end = body.n - 1; /* the newline after the closing anchor */
    while (body.p[end - 1] == '\r' && end > anchor_bytes)
        end--;
    body.n = end - anchor_bytes;
    size_t last_line = str_rindex(body, '\n') == body.n ? 0 : str_rindex(body, '\n') + 1;
    if (!unindent)
        return body;
    str indent = str_from(body, last_line);
    str lines = str_slice(body, 0, last_line);
    struct buf b;
    buf_init(&b, a, lines.n);
    for (str rest = lines; rest.n > 0;) {
        str line = str_slice(rest, 0, str_index(rest, '\n') + 1);
        if (!str_starts(line, indent))
            return lines;
        buf_put_str(&b, str_from(line, indent.n));
        rest = str_from(rest, line.n);
    }
    return buf_str(&b);
}
