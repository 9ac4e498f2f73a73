/* sealed_described: the routes that sealed.c answers before there is a table, as help, the OpenAPI document
 * and the forms of the page describe them. Their handlers are never called. */
#include "core/sys/sys.h"

static struct error *answered_before(struct request *rq, struct response *rs)
{
    (void)rs;
    return fail_wrapped(rq, ERR_NOT_FOUND, "unsupported path");
}

static const struct field health_fields[] = {
    {"standbyok", FT_BOOL, FIELD_QUERY, .help = "A standby answers as the active node does."},
    {"perfstandbyok", FT_BOOL, FIELD_QUERY, .help = "Not looked at: there are none."},
    {"activecode", FT_INT, FIELD_QUERY, .dflt = "200", .help = "Status of an active node."},
    {"standbycode", FT_INT, FIELD_QUERY, .dflt = "429", .help = "Status of a standby."},
    {"sealedcode", FT_INT, FIELD_QUERY, .dflt = "503", .help = "Status of a sealed node."},
    {"uninitcode", FT_INT, FIELD_QUERY, .dflt = "501", .help = "Status of a node that is not initialised."},
    {"drsecondarycode", FT_INT, FIELD_QUERY, .dflt = "472", .help = "Not used: there are none."},
    {"performancestandbycode", FT_INT, FIELD_QUERY, .dflt = "473", .help = "Not used: there are none."},
    {0},
};
static const struct field init_fields[] = {
    {"secret_shares", FT_INT, .help = "Into how many shares the unseal key is split."},
    {"secret_threshold", FT_INT, .help = "How many of them unseal."},
    {"pgp_keys", FT_LIST, .help = "A public key for each share, in base64."},
    {"root_token_pgp_key", FT_STRING, .help = "A public key that the root token is encrypted to."},
    {"stored_shares", FT_INT, FIELD_DEPRECATED, .help = "As many as secret_shares, or none."},
    {"recovery_shares", FT_INT, .help = "With a seal that unseals by itself: shares of the recovery key."},
    {"recovery_threshold", FT_INT, .help = "How many of them make the recovery key."},
    {"recovery_pgp_keys", FT_LIST, .help = "A public key for each of them."},
    {0},
};
static const struct field unseal_fields[] = {
    {"key", FT_STRING, FIELD_SENSITIVE, .help = "A share, in hex or base64."},
    {"reset", FT_BOOL, .help = "Forget the shares given so far."},
    {"migrate", FT_BOOL, .help = "The seal is to be changed."},
    {0},
};

#define ANSWERED(text)                                                                                       \
    {                                                                                                        \
        answered_before, ROUTE_READONLY, text                                                                \
    }

const struct route sys_sealed_routes[] = {
    {"health", health_fields, .ops = {[OP_READ] = ANSWERED("Shows the state by the status.")},
     .flags = ROUTE_UNAUTH, .help = "The state of this node."},
    {"seal-status", NULL, .ops = {[OP_READ] = ANSWERED("Shows it.")}, .flags = ROUTE_UNAUTH,
     .help = "Whether this node is sealed, and how far unsealing is."},
    {"leader", NULL, .ops = {[OP_READ] = ANSWERED("Shows it.")}, .flags = ROUTE_UNAUTH,
     .help = "Which node is active."},
    {"init", init_fields,
     .ops = {[OP_READ] = ANSWERED("Tells whether it has been done."), [OP_UPDATE] = ANSWERED("Does it.")},
     .flags = ROUTE_UNAUTH, .help = "Makes a new store: its keys and the first root token."},
    {"unseal", unseal_fields, .ops = {[OP_UPDATE] = ANSWERED("Gives a share.")}, .flags = ROUTE_UNAUTH,
     .help = "Gives a share of the unseal key."},
    {0},
};
