#include "counting.h"

enum { FOLDERS = 3 };

static struct error *load_n(struct request *rq, str path, int64_t *ret_n)
{
    struct json *j;

    TRY(view_get_json(rq->view, path, &j));
    *ret_n = json_get_int(j, STR("n"));
    return NULL;
}

static struct error *save_n(struct request *rq, str path, int64_t n)
{
    struct json *j = json_object(rq->arena);

    json_set_int(rq->arena, j, STR("n"), n);
    return view_put_json(rq->view, path, j);
}

static struct error *counter_add(struct request *rq, struct response *rs)
{
    str name = field_str(rq, "name"), id = field_str(rq, "id");
    int64_t n;

    TRY(load_n(rq, arena_fmt(rq->arena, "counter/%.*s", PSTR(name)), &n));
    TRY(save_n(rq, arena_fmt(rq->arena, "counter/%.*s", PSTR(name)), n + 1));
    TRY(save_n(rq, arena_fmt(rq->arena, "done/%.*s/%.*s", PSTR(name), PSTR(id)), n + 1));
    json_set_int(rq->arena, response_data(rq, rs), STR("n"), n + 1);
    return NULL;
}

static struct error *counter_read(struct request *rq, struct response *rs)
{
    int64_t n;

    TRY(load_n(rq, arena_fmt(rq->arena, "counter/%.*s", PSTR(field_str(rq, "name"))), &n));
    json_set_int(rq->arena, response_data(rq, rs), STR("n"), n);
    return NULL;
}

static struct error *pair_write(struct request *rq, struct response *rs)
{
    str name = field_str(rq, "name"), id = field_str(rq, "id");

    (void)rs;
    TRY(view_put(rq->view, arena_fmt(rq->arena, "pair/%.*s/a", PSTR(name)), bytes_from_str(id)));
    return view_put(rq->view, arena_fmt(rq->arena, "pair/%.*s/b", PSTR(name)), bytes_from_str(id));
}

static struct error *pair_read(struct request *rq, struct response *rs)
{
    str name = field_str(rq, "name");
    bytes a, b;

    TRY(view_get(rq->view, arena_fmt(rq->arena, "pair/%.*s/a", PSTR(name)), &a));
    TRY(view_get(rq->view, arena_fmt(rq->arena, "pair/%.*s/b", PSTR(name)), &b));
    json_set_str(rq->arena, response_data(rq, rs), STR("a"), str_from_bytes(a));
    json_set_str(rq->arena, response_data(rq, rs), STR("b"), str_from_bytes(b));
    return NULL;
}

static str place(struct request *rq, str name, int64_t n)
{
    return arena_fmt(rq->arena, "room/%d/%.*s", (int)(n % FOLDERS), PSTR(name));
}

static struct error *move(struct request *rq, struct response *rs)
{
    str name = field_str(rq, "name"), at = arena_fmt(rq->arena, "at/%.*s", PSTR(name));
    int64_t n;

    (void)rs;
    TRY(load_n(rq, at, &n));
    TRY(view_delete(rq->view, place(rq, name, n)));
    TRY(view_put(rq->view, place(rq, name, n + 1), (bytes){0}));
    return save_n(rq, at, n + 1);
}

static struct error *list_moving(struct request *rq, struct response *rs)
{
    struct json *all = json_array(rq->arena);
    str *folders, *names;
    size_t n_folders, n;

    TRY(view_list(rq->view, STR("room/"), &folders, &n_folders));
    for (size_t i = 0; i < n_folders; i++) {
        TRY(view_list(rq->view, arena_join(rq->arena, STR("room/"), folders[i]), &names, &n));
        for (size_t k = 0; k < n; k++)
            json_append(rq->arena, all, json_string(rq->arena, names[k]));
    }
    json_set(rq->arena, response_data(rq, rs), STR("keys"), all);
    return NULL;
}

static const struct field fields[] = {
    {"name", FT_STRING, FIELD_PATH, .help = "what is changed"},
    {"id", FT_STRING, .help = "of the change"},
    {0},
};

static const struct route routes[] = {
    {"counter/{name}", fields, .ops = {[OP_READ] = {counter_read}, [OP_UPDATE] = {counter_add}},
     .help = "a counter"},
    {"pair/{name}", fields, .ops = {[OP_READ] = {pair_read}, [OP_UPDATE] = {pair_write}},
     .help = "two entries alike"},
    {"moving/{name}", fields, .ops = {[OP_UPDATE] = {move}}, .help = "an entry that moves"},
    {"moving/", .ops = {[OP_LIST] = {list_moving}}, .help = "all that move"},
    {"lane", .ops = {[OP_READ] = {list_moving, ROUTE_LANE}}, .help = "all that move, seen from the lane"},
    {0},
};

const struct engine counting_engine = {.type = "counting",
                                       .kind = ENGINE_SECRETS,
                                       .routes = routes,
                                       .help = "counts, for tests",
                                       .plugin_version = "v1"};
