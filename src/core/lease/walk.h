/* walk: where a long way through folders of names stands, kept from one step of a bulk request to the next,
 * so
 * that a folder with very many names is not listed anew in every step.
 *
 * A request has one walk of each kind; it begins anew when its root changes. Levels are pushed and popped
 * while
 * nothing has been written in the step (a step may be run again); the position inside the top level moves
 * when
 * the step is published. A level holds at most WALK_NAMES_MAX names: who comes to its end lists the folder
 * again.
 * Threads: of the request; its memory is the heap's and ends with the request.
 */
#pragma once
#include "core/engine.h"

enum walk_kind { WALK_LEASES, WALK_TOKENS, WALK_KINDS_ };
enum { WALK_NAMES_MAX = 65536, WALK_DEPTH_MAX = 1000000 };

struct walk;

/* The walk of that root; *ret_new: it stands before its first level. */
struct walk *walk_of(struct request *rq, enum walk_kind kind, str root, bool *ret_new);
void walk_end(struct request *rq, enum walk_kind kind);
void walks_free(struct request *rq); /* when the request ends */

size_t walk_depth(const struct walk *w);
void walk_push(struct walk *w, str folder, const str *names, size_t n);
void walk_pop(struct walk *w);
/* The top level begins again with these; rest: with those after its last name. False: there are none. */
bool walk_refill(struct walk *w, const str *names, size_t n, bool rest);
bool walk_is_cut(const struct walk *w);                /* the top level had more names than it holds */
str walk_folder(const struct walk *w);                 /* of the top level */
bool walk_is_inside(const struct walk *w, str folder); /* one of its levels */

/* Names of the top level, from where it stands: *at is 0 at first, then what the call left there. False: no
 * more. */
bool walk_next(const struct walk *w, size_t *at, str *ret_name);
/* The first `at` of them are done with, once the step is published. */
void walk_advance(struct request *rq, struct walk *w, size_t at);
