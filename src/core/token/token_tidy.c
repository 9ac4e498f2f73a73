/* token_tidy: removes accessors and parent entries whose token is gone or dead. */
#include "core/lease/member.h"
#include "core/lease/sweep.h"
#include "core/token/token_private.h"

/* What is wrong with an accessor entry or a parent entry: nothing, its token is gone, or its token is dead.
 * */
enum verdict { SOUND, DANGLING, DEAD };

static struct error *judge(struct request *rq, str path, enum verdict *ret, const struct token_entry **ret_te)
{
    struct view v = txn_view(rq->txn, SPACE_TOKEN);
    const struct token_entry *live = NULL;

    *ret_te = NULL;
    *ret = SOUND;
    if (str_starts(path, STR("accessor/"))) {
        struct json *j;

        TRY(view_get_json(&v, path, &j));
        str token_id = member_str(j, "token_id");

        if (token_id.n == 0)
            return NULL;
        TRY(token_load(rq, token_id, ret_te));
    } else {
        TRY(token_load_hash(rq, str_from(path, str_rindex(path, '/') + 1), ret_te));
    }
    if (!*ret_te) {
        *ret = DANGLING;
    } else {
        TRY(token_load_live(rq, (*ret_te)->id, &live));
        if (!live && (*ret_te)->type == TOKEN_SERVICE)
            *ret = DEAD;
    }
    return NULL;
}

static struct error *is_wrong(struct request *rq, str path, bool *ret_wrong)
{
    const struct token_entry *te;
    enum verdict verdict;

    TRY(judge(rq, path, &verdict, &te));
    *ret_wrong = verdict != SOUND;
    return NULL;
}

static struct error *fix(struct request *rq, str path, bool *ret_done)
{
    struct view v = txn_view(rq->txn, SPACE_TOKEN);
    const struct token_entry *te;
    enum verdict verdict;

    TRY(judge(rq, path, &verdict, &te));
    return verdict == DEAD ? token_revoke_step(rq, te->id, ret_done) : view_delete(&v, path);
}

void token_tidy_start(struct active *a)
{
    static const struct sweep_folder folders[] = {
        {SPACE_TOKEN, {"accessor/", 9}, is_wrong, fix}, {SPACE_TOKEN, {"parent/", 7}, is_wrong, fix}, {0}};

    sweep_start(a, "token", folders, NULL);
}
