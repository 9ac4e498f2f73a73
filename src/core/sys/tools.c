/* tools: sys/tools/: hashes and random bytes for clients. */
#include "base/encode.h"
#include "core/sys/sys.h"
#include "crypto/digest.h"

enum { RANDOM_BYTES_MAX = 131072 };

static bool encode(struct arena *a, str format, bytes data, str *ret)
{
    bool hex = str_eq(format, STR("hex"));

    if (!hex && !str_eq(format, STR("base64")))
        return false;
    *ret = hex ? hex_encode(a, data) : base64_encode(a, data);
    return true;
}

static struct error *hash_write(struct request *rq, struct response *rs)
{
    str algorithm = rq->params[0].n ? rq->params[0] : field_str(rq, "algorithm");
    str format = field_str(rq, "format"), sum;
    uint8_t digest[DIGEST_BYTES_MAX];
    bytes input;

    if (!base64_decode(rq->arena, field_str(rq, "input"), &input))
        return fail(rq, ERR_BAD_REQUEST, "unable to decode input as base64: illegal base64 data");
    if (!encode(rq->arena, format, (bytes){0}, &sum))
        return fail(rq, ERR_BAD_REQUEST, "unsupported encoding format %.*s; must be \"hex\" or \"base64\"",
                    PSTR(format));
    size_t n = digest_named(digest, algorithm, input);

    if (n == 0)
        return fail(rq, ERR_BAD_REQUEST, "unsupported algorithm %.*s", PSTR(algorithm));
    (void)encode(rq->arena, format, (bytes){digest, n}, &sum);
    json_set_str(rq->arena, response_data(rq, rs), STR("sum"), sum);
    return NULL;
}

static bool is_source(str s)
{
    return str_eq(s, STR("platform")) || str_eq(s, STR("seal")) || str_eq(s, STR("all"));
}

/* random/X: a source or a number. random/X/Y: a source and a number. */
static struct error *random_size(struct request *rq, str *ret_source, int64_t *ret_n)
{
    str first = rq->params[0], size = rq->params[1];

    *ret_source = field_str(rq, "source");
    if (first.n && (size.n || is_source(first)))
        *ret_source = first;
    else
        size = first;
    *ret_n = field_int(rq, "bytes");
    if (size.n && !str_parse_i64(size, ret_n))
        return fail(rq, ERR_BAD_REQUEST,
                    "error parsing url-set byte count: strconv.Atoi: parsing \"%.*s\": invalid syntax",
                    PSTR(size));
    if (*ret_n < 1)
        return fail(rq, ERR_BAD_REQUEST, "\"bytes\" cannot be less than 1");
    if (*ret_n > RANDOM_BYTES_MAX)
        return fail(rq, ERR_BAD_REQUEST, "\"bytes\" should be less than %d", RANDOM_BYTES_MAX);
    return NULL;
}

static struct error *random_write(struct request *rq, struct response *rs)
{
    str format = field_str(rq, "format"), source, text;
    int64_t n;

    TRY(random_size(rq, &source, &n));
    if (!encode(rq->arena, format, (bytes){0}, &text))
        return fail(rq, ERR_BAD_REQUEST,
                    "unsupported encoding format \"%.*s\"; must be \"hex\" or \"base64\"", PSTR(format));
    if (!is_source(source))
        return fail(rq, ERR_BAD_REQUEST,
                    "unsupported entropy source \"%.*s\"; must be \"platform\" or \"seal\", or \"all\"",
                    PSTR(source));
    if (str_eq(source, STR("seal")))
        response_warn(rq, rs, "no seal/entropy augmentation available, using platform entropy source");
    uint8_t *random = arena_alloc(rq->arena, (size_t)n);

    rng_bytes(rq->rng, random, (size_t)n);
    (void)encode(rq->arena, format, (bytes){random, (size_t)n}, &text);
    json_set_str(rq->arena, response_data(rq, rs), STR("random_bytes"), text);
    return NULL;
}

/* clang-format off */
#define HASH_FIELDS                                                                                          \
    {"input", FT_STRING, FIELD_SENSITIVE, .help = "What to hash, in base64."},                               \
    {"algorithm", FT_STRING, .dflt = "sha2-256", .help = "Name of the hash: sha2-224 … sha3-512."},          \
    {"format", FT_STRING, .dflt = "hex", .help = "hex or base64."}
#define RANDOM_FIELDS                                                                                        \
    {"bytes", FT_INT, .dflt = "32", .help = "How many."},                                                    \
    {"format", FT_STRING, .dflt = "base64", .help = "hex or base64."}
#define SOURCE_HELP "Where they come from: platform, seal or all."
/* clang-format on */

static const struct field hash_fields[] = {
    HASH_FIELDS,
    {0},
};

static const struct field hash_path_fields[] = {
    {"urlalgorithm", FT_STRING, FIELD_PATH, .help = "Name of the hash."},
    HASH_FIELDS,
    {0},
};

static const struct field random_fields[] = {
    RANDOM_FIELDS,
    {"source", FT_STRING, .dflt = "platform", .help = SOURCE_HELP},
    {0},
};

static const struct field random_size_fields[] = {
    RANDOM_FIELDS,
    {"source", FT_STRING, .dflt = "platform", .help = SOURCE_HELP},
    {"urlbytes", FT_STRING, FIELD_PATH, .help = "How many, or a source."},
    {0},
};

static const struct field random_path_fields[] = {
    RANDOM_FIELDS,
    {"source", FT_STRING, FIELD_PATH, .dflt = "platform", .help = SOURCE_HELP},
    {"urlbytes", FT_STRING, FIELD_PATH, .help = "How many."},
    {0},
};

#define HASH_OPS                                                                                             \
    {                                                                                                        \
        [OP_UPDATE] = { hash_write, ROUTE_READONLY, "Hashes." }                                              \
    }
#define RANDOM_OPS                                                                                           \
    {                                                                                                        \
        [OP_UPDATE] = { random_write, ROUTE_READONLY, "Draws random bytes." }                                \
    }

const struct route sys_tool_routes[] = {
    {"tools/hash", hash_fields, .ops = HASH_OPS, .help = "The hash of some input."},
    {"tools/hash/{urlalgorithm}", hash_path_fields, .ops = HASH_OPS, .help = "The hash of some input."},
    {"tools/random", random_fields, .ops = RANDOM_OPS, .help = "Random bytes."},
    {"tools/random/{urlbytes}", random_size_fields, .ops = RANDOM_OPS, .help = "Random bytes."},
    {"tools/random/{source}/{urlbytes}", random_path_fields, .ops = RANDOM_OPS, .help = "Random bytes."},
    {0},
};
