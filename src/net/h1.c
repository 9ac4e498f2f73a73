#include "net/h1.h"

enum { TOKEN = 1, VALUE = 2, HOST = 4 };
#define TV  TOKEN | VALUE
#define VH  VALUE | HOST
#define TVH TOKEN | VALUE | HOST

/* What each byte may be part of: a token (RFC 9110 5.6.2), a field's value, the Host field. */
static const uint8_t classes[256] = {
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = TVH,
    ['"'] = VALUE,
    ['#'] = TV,
    ['$' ... '\''] = TVH,
    ['(' ... ')'] = VH,
    ['*' ... '+'] = TVH,
    [','] = VH,
    ['-' ... '.'] = TVH,
    ['/'] = VALUE,
    ['0' ... '9'] = TVH,
    [':' ... ';'] = VH,
    ['<'] = VALUE,
    ['='] = VH,
    ['>' ... '@'] = VALUE,
    ['A' ... 'Z'] = TVH,
    ['['] = VH,
    ['\\'] = VALUE,
    [']'] = VH,
    ['^'] = TV,
    ['_'] = TVH,
    ['`'] = TV,
    ['a' ... 'z'] = TVH,
    ['{'] = VALUE,
    ['|'] = TV,
    ['}'] = VALUE,
    ['~'] = TVH,
    [0x80 ... 0xff] = VALUE,
};

static bool is_all(str s, int class)
{
    for (size_t i = 0; i < s.n; i++)
        if (!(classes[(uint8_t)s.p[i]] & class))
            return false;
    return true;
}

static const struct h1_refusal bad_request = {400, NULL};
static const struct h1_refusal bad_line_end = {400, "malformed line end"};
static const struct h1_refusal bad_field = {400, "malformed header field"};
static const struct h1_refusal bad_target = {400, "malformed request target"};
static const struct h1_refusal bad_host = {400, "malformed Host header"};
static const struct h1_refusal no_host = {400, "missing required Host header"};
static const struct h1_refusal too_many_hosts = {400, "too many Host headers"};
static const struct h1_refusal bad_length = {400, "bad Content-Length"};
static const struct h1_refusal bad_framing = {400, "both Content-Length and Transfer-Encoding"};
static const struct h1_refusal bad_encoding = {501, "unsupported transfer encoding"};
static const struct h1_refusal bad_expectation = {417, NULL};
static const struct h1_refusal bad_version = {505, "unsupported protocol version"};
static const struct h1_refusal head_too_large = {431, NULL};

static enum h1_verdict scan_refuse(struct h1_scan *s, const struct h1_refusal *why)
{
    s->refusal = why;
    return H1_BAD;
}

enum h1_verdict h1_scan(struct h1_scan *s, str in)
{
    size_t end = MIN(in.n, (size_t)H1_HEAD_BYTES_MAX);
    /* Whoever speaks another protocol (a TLS hello) need not wait for a line end to hear so. */
    if (end > 0 && !(classes[(uint8_t)in.p[0]] & TOKEN))
        return scan_refuse(s, &bad_request);
    while (s->seen < end) {
        const char *lf = memchr(in.p + s->seen, '\n', end - s->seen);
        if (!lf)
            break;
        size_t at = (size_t)(lf - in.p);
        if (at == s->line_start || in.p[at - 1] != '\r')
            return scan_refuse(s, &bad_line_end);
        bool is_empty = at - s->line_start == 1;
        s->seen = s->line_start = at + 1;
        if (is_empty) {
            s->head_bytes = at + 1;
            return H1_DONE;
        }
        if (++s->lines > H1_FIELDS_MAX + 1)
            return scan_refuse(s, &head_too_large);
    }
    s->seen = end;
    return in.n >= H1_HEAD_BYTES_MAX ? scan_refuse(s, &head_too_large) : H1_MORE;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* Percent signs of the path must begin an escape, as Go's URL parser demands. */
static bool path_escapes_are_whole(str target)
{
    str path = str_slice(target, 0, str_index(target, '?'));
    for (size_t i = str_index(path, '%'); i < path.n; i++)
        if (path.p[i] == '%' && (path.n - i < 3 || !is_hex(path.p[i + 1]) || !is_hex(path.p[i + 2])))
            return false;
    return true;
}

static const struct h1_refusal *target_parse(str s, struct h1_head *h)
{
    for (size_t i = 0; i < s.n; i++)
        if ((uint8_t)s.p[i] <= ' ' || s.p[i] == 0x7f)
            return &bad_target;
    if (str_eq(s, STR("*")) && str_eq(h->method, STR("OPTIONS"))) {
        h->target = s;
        return NULL;
    }
    size_t scheme = 0;
    if (str_eq_nocase(str_slice(s, 0, 7), STR("http://")))
        scheme = 7;
    else if (str_eq_nocase(str_slice(s, 0, 8), STR("https://")))
        scheme = 8;
    if (scheme) {
        str rest = str_from(s, scheme);
        size_t slash = str_index(rest, '/');
        if (slash == 0 || str_index(rest, '?') < slash || str_index(rest, '#') < slash)
            return &bad_target;
        s = slash < rest.n ? str_from(rest, slash) : STR("/");
    }
    if (s.n == 0 || s.p[0] != '/' || !path_escapes_are_whole(s))
        return &bad_target;
    h->target = s;
    return NULL;
}

static const struct h1_refusal *request_line_parse(str line, struct h1_head *h)
{
    str rest;
    str target;
    str version;
    if (!str_cut(line, ' ', &h->method, &rest) || h->method.n == 0 || !is_all(h->method, TOKEN))
        return &bad_request;
    if (!str_cut(rest, ' ', &target, &version) || version.n != 8 || !str_starts(version, STR("HTTP/")) ||
        version.p[6] != '.')
        return &bad_request;
    char major = version.p[5];
    char minor = version.p[7];
    if (major < '0' || major > '9' || minor < '0' || minor > '9')
        return &bad_request;
    if (major != '1' || minor > '1')
        return &bad_version;
    h->minor = minor - '0';
    return target_parse(target, h);
}

static str trim_blanks(str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = str_from(s, 1);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

static bool field_split(str line, struct http_header *ret)
{
    size_t i = 0;
    while (i < line.n && (classes[(uint8_t)line.p[i]] & TOKEN))
        i++;
    if (i == 0 || i == line.n || line.p[i] != ':') /* also a folded line, which starts with a blank */
        return false;
    ret->name = str_slice(line, 0, i);
    ret->value = trim_blanks(str_from(line, i + 1));
    return is_all(ret->value, VALUE);
}

/* What the fields said about framing and connection, until all are read. */
struct framing {
    unsigned hosts, encodings;
    bool close, keep_alive, is_chunked;
};

static const struct h1_refusal *length_parse(str value, struct h1_head *h)
{
    uint64_t n;
    if (!str_parse_u64(value, &n) || n > INT64_MAX)
        return &bad_length;
    if (h->has_length && n != h->content_length)
        return &bad_length;
    h->has_length = true;
    h->content_length = n;
    return NULL;
}

static void connection_parse(str value, struct framing *f)
{
    str option;
    do {
        (void)str_cut(value, ',', &option, &value);
        option = trim_blanks(option);
        f->close |= str_eq_nocase(option, STR("close"));
        f->keep_alive |= str_eq_nocase(option, STR("keep-alive"));
    } while (value.n);
}

static const struct h1_refusal *field_read(const struct http_header *field, struct h1_head *h,
                                           struct framing *f)
{
    str name = field->name;
    str value = field->value;
    switch (name.n) {
    case 4:
        if (str_eq_nocase(name, STR("Host"))) {
            f->hosts++;
            return is_all(value, HOST) ? NULL : &bad_host;
        }
        break;
    case 6:
        if (str_eq_nocase(name, STR("Expect"))) {
            if (!str_eq_nocase(value, STR("100-continue")))
                return &bad_expectation;
            h->expects_continue = h->minor == 1;
        }
        break;
    case 10:
        if (str_eq_nocase(name, STR("Connection")))
            connection_parse(value, f);
        break;
    case 14:
        if (str_eq_nocase(name, STR("Content-Length")))
            return length_parse(value, h);
        break;
    case 17:
        if (str_eq_nocase(name, STR("Transfer-Encoding"))) {
            f->encodings++;
            f->is_chunked = str_eq_nocase(value, STR("chunked"));
        }
        break;
    default: break;
    }
    return NULL;
}

static const struct h1_refusal *framing_check(const struct framing *f, struct h1_head *h)
{
    if (f->hosts > 1)
        return &too_many_hosts;
    if (h->minor == 1 && f->hosts == 0)
        return &no_host;
    if (f->encodings) {
        if (f->encodings > 1 || !f->is_chunked)
            return &bad_encoding;
        if (h->has_length || h->minor == 0)
            return &bad_framing;
        h->chunked = true;
    }
    h->keep_alive = !f->close && (h->minor == 1 || f->keep_alive);
    return NULL;
}

static str line_take(str *rest)
{
    size_t lf = str_index(*rest, '\n');
    str line = str_slice(*rest, 0, lf ? lf - 1 : 0); /* h1_scan has seen CR before each LF */
    *rest = str_from(*rest, lf + 1);
    return line;
}

const struct h1_refusal *h1_parse(str head, struct http_header *headers, struct h1_head *ret_head)
{
    struct h1_head h = {0};
    struct framing f = {0};
    const struct h1_refusal *no = request_line_parse(line_take(&head), &h);
    if (no)
        return no;
    for (str line = line_take(&head); line.n; line = line_take(&head)) {
        struct http_header *field = &headers[h.n_headers++];
        if (!field_split(line, field))
            return &bad_field;
        no = field_read(field, &h, &f);
        if (no)
            return no;
    }
    no = framing_check(&f, &h);
    if (no)
        return no;
    *ret_head = h;
    return NULL;
}

enum chunk_state {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER_START,
    CHUNK_TRAILER,
    CHUNK_TRAILER_LF,
    CHUNK_END_LF,
    CHUNK_DONE,
    CHUNK_BAD,
};
enum { CHUNK_DIGITS_MAX = 15 };

static enum chunk_state chunk_size_byte(struct h1_chunks *c, char ch)
{
    if (is_hex(ch) && c->digits < CHUNK_DIGITS_MAX) {
        c->digits++;
        c->left = c->left << 4 | (uint64_t)(ch <= '9' ? ch - '0' : (ch | 0x20) - 'a' + 10);
        return CHUNK_SIZE;
    }
    if (c->digits == 0)
        return CHUNK_BAD;
    return ch == '\r' ? CHUNK_SIZE_LF : ch == ';' ? CHUNK_EXTENSION : CHUNK_BAD;
}

static enum chunk_state chunk_size_end(struct h1_chunks *c)
{
    c->digits = 0;
    if (c->left == 0)
        return CHUNK_TRAILER_START;
    /* Data pays for its framing: many small chunks are fine, a stream of extensions is not. */
    uint64_t paid = MIN(c->left, (uint64_t)H1_CHUNK_OVERHEAD_MAX) * 2 + 16;
    c->overhead -= MIN(c->overhead, (size_t)paid);
    return CHUNK_DATA;
}

/* The state after one byte that is not data. */
static enum chunk_state chunk_byte(struct h1_chunks *c, char ch)
{
    int class = classes[(uint8_t)ch];
    switch ((enum chunk_state)c->state) {
    case CHUNK_SIZE: return chunk_size_byte(c, ch);
    case CHUNK_EXTENSION: return ch == '\r' ? CHUNK_SIZE_LF : class & VALUE ? CHUNK_EXTENSION : CHUNK_BAD;
    case CHUNK_SIZE_LF: return ch == '\n' ? chunk_size_end(c) : CHUNK_BAD;
    case CHUNK_DATA_CR: return ch == '\r' ? CHUNK_DATA_LF : CHUNK_BAD;
    case CHUNK_DATA_LF: return ch == '\n' ? CHUNK_SIZE : CHUNK_BAD;
    case CHUNK_TRAILER_START: return ch == '\r' ? CHUNK_END_LF : class & TOKEN ? CHUNK_TRAILER : CHUNK_BAD;
    case CHUNK_TRAILER: return ch == '\r' ? CHUNK_TRAILER_LF : class & VALUE ? CHUNK_TRAILER : CHUNK_BAD;
    case CHUNK_TRAILER_LF: return ch == '\n' ? CHUNK_TRAILER_START : CHUNK_BAD;
    case CHUNK_END_LF: return ch == '\n' ? CHUNK_DONE : CHUNK_BAD;
    case CHUNK_DATA:
    case CHUNK_DONE:
    case CHUNK_BAD: break;
    }
    return CHUNK_BAD;
}

enum h1_verdict h1_chunks_next(struct h1_chunks *c, bytes in, size_t *ret_used, bytes *ret_data)
{
    size_t i = 0;
    *ret_data = (bytes){0};
    while (i < in.n && c->state != CHUNK_DONE && c->state != CHUNK_BAD) {
        if (c->state == CHUNK_DATA) {
            size_t n = (size_t)MIN(c->left, (uint64_t)(in.n - i));
            *ret_data = (bytes){in.p + i, n};
            c->left -= n;
            if (c->left == 0)
                c->state = CHUNK_DATA_CR;
            i += n;
            break;
        }
        c->state = (int)chunk_byte(c, (char)in.p[i++]);
        if (++c->overhead > H1_CHUNK_OVERHEAD_MAX)
            c->state = CHUNK_BAD;
    }
    *ret_used = i;
    return c->state == CHUNK_DONE ? H1_DONE : c->state == CHUNK_BAD ? H1_BAD : H1_MORE;
}

static const struct {
    int status;
    str text;
} status_texts[] = {
    {100, STR("Continue")},
    {200, STR("OK")},
    {201, STR("Created")},
    {202, STR("Accepted")},
    {204, STR("No Content")},
    {206, STR("Partial Content")},
    {301, STR("Moved Permanently")},
    {302, STR("Found")},
    {303, STR("See Other")},
    {304, STR("Not Modified")},
    {307, STR("Temporary Redirect")},
    {308, STR("Permanent Redirect")},
    {400, STR("Bad Request")},
    {401, STR("Unauthorized")},
    {403, STR("Forbidden")},
    {404, STR("Not Found")},
    {405, STR("Method Not Allowed")},
    {406, STR("Not Acceptable")},
    {408, STR("Request Timeout")},
    {409, STR("Conflict")},
    {410, STR("Gone")},
    {412, STR("Precondition Failed")},
    {413, STR("Request Entity Too Large")},
    {415, STR("Unsupported Media Type")},
    {417, STR("Expectation Failed")},
    {422, STR("Unprocessable Entity")},
    {429, STR("Too Many Requests")},
    {431, STR("Request Header Fields Too Large")},
    {500, STR("Internal Server Error")},
    {501, STR("Not Implemented")},
    {502, STR("Bad Gateway")},
    {503, STR("Service Unavailable")},
    {504, STR("Gateway Timeout")},
    {505, STR("HTTP Version Not Supported")},
    {507, STR("Insufficient Storage")},
};

static size_t decimal_write(char *out, uint64_t v)
{
    char digits[20];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while (v /= 10);
    for (size_t i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

str h1_status_text(int status, char buffer[H1_STATUS_TEXT_MAX])
{
    for (size_t i = 0; i < COUNT_OF(status_texts); i++)
        if (status_texts[i].status == status)
            return status_texts[i].text;
    str words = STR("status code ");
    memcpy(buffer, words.p, words.n);
    return (str){buffer, words.n + decimal_write(buffer + words.n, (uint64_t)status)};
}

bool h1_status_has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

enum { REPLY_FIXED_BYTES_MAX = 256 }; /* status line, Date, Content-Length, Connection and the empty line */

size_t h1_reply_bytes_max(const struct h1_reply *r)
{
    size_t n = REPLY_FIXED_BYTES_MAX + r->date.n;
    for (size_t i = 0; i < r->n_headers; i++)
        n += r->headers[i].name.n + r->headers[i].value.n + 4;
    return n;
}

static char *put(char *out, str s)
{
    if (s.n)
        memcpy(out, s.p, s.n);
    return out + s.n;
}

static char *put_field(char *out, str name, str value)
{
    if (name.n == 0 || !is_all(name, TOKEN))
        return out;
    out = put(put(out, name), STR(": "));
    for (size_t i = 0; i < value.n; i++) {
        char ch = value.p[i];
        *out++ = ch == '\r' || ch == '\n' || ch == '\0' ? ' ' : ch;
    }
    return put(out, STR("\r\n"));
}

size_t h1_reply_write(const struct h1_reply *r, char *out)
{
    char buffer[H1_STATUS_TEXT_MAX];
    char *p = put(out, r->minor ? STR("HTTP/1.1 ") : STR("HTTP/1.0 "));
    p += decimal_write(p, (uint64_t)r->status);
    *p++ = ' ';
    p = put(put(p, h1_status_text(r->status, buffer)), STR("\r\n"));
    for (size_t i = 0; i < r->n_headers; i++)
        p = put_field(p, r->headers[i].name, r->headers[i].value);
    if (r->date.n)
        p = put(put(put(p, STR("Date: ")), r->date), STR("\r\n"));
    if (r->has_length) {
        p = put(p, STR("Content-Length: "));
        p += decimal_write(p, r->content_length);
        p = put(p, STR("\r\n"));
    }
    if (r->chunked)
        p = put(p, STR("Transfer-Encoding: chunked\r\n"));
    if (!r->keep_alive)
        p = put(p, STR("Connection: close\r\n"));
    else if (r->minor == 0)
        p = put(p, STR("Connection: keep-alive\r\n"));
    return (size_t)(put(p, STR("\r\n")) - out);
}

static char *put_two_digits(char *out, unsigned v)
{
    out[0] = (char)('0' + v / 10);
    out[1] = (char)('0' + v % 10);
    return out + 2;
}

void h1_date_write(int64_t unix_s, char out[H1_DATE_BYTES])
{
    static const char days[] = "ThuFriSatSunMonTueWed";
    static const char months[] = "MarAprMayJunJulAugSepOctNovDecJanFeb";
    enum { DAY_S = 86400, DAYS_OF_ERA = 146097, DAYS_TO_1970 = 719468 };
    uint64_t s = unix_s > 0 ? (uint64_t)unix_s : 0;
    uint64_t day_of_epoch = s / DAY_S;
    unsigned second = (unsigned)(s % DAY_S);
    /* Years begin on 1 March, so that the leap day is the last of a year; 400 years are an era. */
    uint64_t days_since_zero = day_of_epoch + DAYS_TO_1970;
    unsigned day = (unsigned)(days_since_zero % DAYS_OF_ERA);
    unsigned year_of_era = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year_of_era + year_of_era / 4 - year_of_era / 100;
    unsigned month = (5 * day + 2) / 153; /* 0 = March */
    unsigned year = (unsigned)(days_since_zero / DAYS_OF_ERA) * 400 + year_of_era + (month >= 10);
    char *p = put(out, (str){days + day_of_epoch % 7 * 3, 3});
    p = put_two_digits(put(p, STR(", ")), day - (153 * month + 2) / 5 + 1);
    *p++ = ' ';
    p = put(p, (str){months + (size_t)month * 3, 3});
    *p++ = ' ';
    p = put_two_digits(put_two_digits(p, year / 100 % 100), year % 100);
    *p++ = ' ';
    p = put_two_digits(p, second / 3600);
    *p++ = ':';
    p = put_two_digits(p, second / 60 % 60);
    *p++ = ':';
    p = put_two_digits(p, second % 60);
    (void)put(p, STR(" GMT"));
}
