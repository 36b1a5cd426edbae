#include "node/import.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/import_impl.h"
#include "node/node.h"
#include "proto/text.h"

#define PLAN_ARENA_BYTES (4u << 20)
#define WHY_BYTES 8192u

bool import_fail(struct import *im, int exit, enum err e, const char *what)
{
	import_report_clear(&im->report);
	if (im->why.n > 0)
		cmd_msg(im->c, "%.*s", (int)im->why.n, (const char *)im->why.p);
	else
		cmd_msg(im->c, "%s: %s%s%s", im->path, what,
			e != ERR_OK ? ": " : "",
			e != ERR_OK ? err_text(e) : "");
	im->exit = exit;
	return false;
}

static void import_unlock(struct import *im)
{
	if (im->lock >= 0)
		(void)close(im->lock);
	im->lock = -1;
}

/* Preparing. */

/* Was some import of credentials undone? Only then a revocation may have to
 * be taken back. */
static bool has_undone(const struct home *h)
{
	struct journal_entry e;
	struct store_txn *t;
	struct arena a;
	bool found = false;
	enum err err;

	if (store_read(h->store, &t) != ERR_OK)
		return true;
	arena_init(&a, IMPORT_DOC_BYTES);
	for (uint64_t n = 1; !found; n++) {
		arena_reset(&a);
		err = import_journal_get(t, n, &a, &e);
		if (err == ERR_NOT_FOUND)
			break;
		found = err == ERR_OK && e.undo_of > 0 &&
			slice_is(e.kind, "credentials");
	}
	store_abort(t);
	arena_free(&a);
	return found;
}

/* FILE:1: column NAME: CODE: message; cure */
static bool refuse_header(struct import *im, const struct complaint *c)
{
	buf_put_str(&im->why, im->path);
	buf_put_str(&im->why, ":1: column ");
	buf_put_str(&im->why, c->field);
	buf_put_str(&im->why, ": ");
	buf_put_str(&im->why, c->code);
	buf_put_str(&im->why, ": ");
	buf_put_str(&im->why, c->message);
	buf_put_str(&im->why, "; ");
	buf_put_str(&im->why, c->cure);
	return import_fail(im, EXIT_FAILED, ERR_MALFORMED, "");
}

static bool plan_columns(struct import *im)
{
	const struct import_source *s = &im->source;
	struct import_plan *p = &im->plan;
	struct complaint c = { .code = "" };
	enum err e;

	p->separator = s->separator;
	p->columns = s->names->count;
	e = schema_plan_row(p->schema, s->names->cells, s->names->count,
			    &im->plan_arena, &p->row, &c);
	if (e != ERR_OK)
		return refuse_header(im, &c);
	p->credential_column = schema_plan_column(p->row, "credential");
	p->learner_column = schema_plan_column(p->row, "learner");
	if (p->schema->kind != KIND_CREDENTIAL || p->learner_column >= 0)
		return true;
	e = schema_plan_part(p->row, "subject", schema_of(KIND_LEARNER),
			     &im->plan_arena, &p->subject);
	return e == ERR_OK ||
	       import_fail(im, EXIT_FAILED, e, "the header cannot be used");
}

static bool plan(struct import *im)
{
	struct import_plan *p = &im->plan;
	const struct schema *s = im->o->schema;
	struct buf today;

	*p = (struct import_plan){
		.home = im->c->home,
		.schema = s,
		.format = im->source.format,
		.separator = ',',
		.audience_given = im->o->audience_given,
		.audience = im->o->audience_given
				    ? im->o->audience
				    : config_audience(&im->c->home->config,
						      s->kind),
	};
	random_bytes(&p->key, sizeof(p->key));
	buf_init(&today, sizeof(p->today) - 1);
	text_put_date(&today, now_ms() / 1000);
	memcpy(p->today, today.p, today.n);
	buf_free(&today);
	if (p->format == IMPORT_CSV && !plan_columns(im))
		return false;
	for (size_t i = 0; i < IMPORT_SLICES; i++)
		import_maker_use(&im->makers[i], p);
	return true;
}

static enum import_format format_of(const struct import *im)
{
	if (im->o->format != IMPORT_UNKNOWN)
		return im->o->format;
	return import_format_of(im->path);
}

static void init(struct import *im, struct cmd *c,
		 const struct import_options *o, const char *path)
{
	*im = (struct import){ .c = c, .o = o, .path = path, .lock = -1 };
	buf_init(&im->why, WHY_BYTES);
	arena_init(&im->plan_arena, PLAN_ARENA_BYTES);
	im->pool = import_pool_open();
	for (size_t i = 0; i < IMPORT_SLICES; i++) {
		import_maker_init(&im->makers[i], c->home);
		arena_init(&im->keep[i], IMPORT_JOB_ARENA_BYTES);
	}
	import_batch_init(&im->batch);
	im->made = xcalloc(IMPORT_BATCH_RECORDS, sizeof(*im->made));
}

static void release(struct import *im)
{
	import_unlock(im);
	import_pool_close(im->pool);
	for (size_t i = 0; i < IMPORT_SLICES; i++) {
		import_maker_free(&im->makers[i]);
		arena_free(&im->keep[i]);
	}
	import_batch_free(&im->batch);
	free(im->made);
	import_seen_free(&im->ids);
	import_seen_free(&im->people);
	free(im->conflicts);
	free(im->apply);
	if (im->source.names != NULL) {
		import_report_free(&im->report);
		import_source_close(&im->source);
	}
	arena_free(&im->plan_arena);
	buf_free(&im->why);
	free(im->tmp);
}

static bool open_all(struct import *im)
{
	enum err e = import_tmp_dir(im->c->home, &im->tmp, &im->why);

	if (e != ERR_OK)
		return import_fail(im, EXIT_FAILED, e, "no temporary files");
	import_seen_init(&im->ids, im->tmp);
	import_seen_init(&im->people, im->tmp);
	im->ids.with_repeats = true;
	if (format_of(im) == IMPORT_UNKNOWN)
		return import_fail(im, EXIT_USAGE, ERR_OK,
				   "neither .csv nor .ndjson; say --format csv "
				   "or --format ndjson");
	e = import_source_open(&im->source, im->c, im->path, im->tmp,
			       format_of(im), &im->why);
	import_report_init(&im->report, im->c, &im->source,
			   !im->o->check && strcmp(im->path, "-") != 0);
	if (e != ERR_OK)
		return import_fail(im, EXIT_FAILED, e, "cannot be read");
	return plan(im);
}

/* First reading. */

void import_slice(const struct import *im, unsigned k, uint32_t *from,
		  uint32_t *to)
{
	uint32_t part = (im->batch.count + IMPORT_SLICES - 1) / IMPORT_SLICES;

	*from = k * part < im->batch.count ? k * part : im->batch.count;
	*to = *from + part < im->batch.count ? *from + part : im->batch.count;
}

static void check_slice(void *arg, unsigned k)
{
	struct import *im = arg;
	struct import_maker *m = &im->makers[k];
	uint32_t from;
	uint32_t to;
	enum err e;

	import_slice(im, k, &from, &to);
	arena_reset(&im->keep[k]);
	e = own_begin(&m->own);
	for (uint32_t i = from; i < to && e == ERR_OK; i++) {
		e = import_make(m, &im->batch.records[i], &im->keep[k],
				&im->made[i]);
		if (e == ERR_OK && im->made[i].state != IMPORT_REJECTED)
			e = import_match(m, &im->keep[k], &im->made[i]);
	}
	own_end(&m->own);
	im->slice_err[k] = e;
}

static void mark(struct import *im, uint64_t index, bool applies)
{
	uint64_t rows = im->apply_rows;

	if (index >= IMPORT_BITS_MAX)
		return;
	while (index >= rows)
		rows = rows > 0 ? rows * 2 : IMPORT_BATCH_RECORDS * 8u;
	if (rows != im->apply_rows) {
		im->apply = xrealloc(im->apply, rows / 8);
		memset(im->apply + im->apply_rows / 8, 0,
		       (rows - im->apply_rows) / 8);
		im->apply_rows = rows;
	}
	if (applies)
		im->apply[index / 8] |= (uint8_t)(1u << index % 8);
}

bool import_row_applies(const struct import *im, uint64_t index)
{
	if (index >= IMPORT_BITS_MAX)
		return true; /* the writer compares again */
	return index < im->apply_rows &&
	       (im->apply[index / 8] >> index % 8 & 1) != 0;
}

static enum err note_seen(struct import *im, const struct import_record *r,
			  const struct import_made *m)
{
	struct import_seen_row row = {
		.id = get_u64be(m->hash),
		.content = m->content_hash,
		.line = r->line & ((1ull << 56) - 1),
		.mark = (uint8_t)m->state,
	};
	enum err e = import_seen_add(&im->ids, &row);

	if (e != ERR_OK || m->learner.n == 0)
		return e;
	row.mark |= m->differs ? IMPORT_SEEN_COUNTED : 0;
	row.id = get_u64be(m->person.b);
	row.content = get_u64be(m->content.b);
	return import_seen_add(&im->people, &row);
}

static enum err judge_row(struct import *im, uint32_t i)
{
	const struct import_record *r = &im->batch.records[i];
	const struct import_made *m = &im->made[i];

	im->rows++;
	im->counts[m->state]++;
	im->letters += m->letters;
	mark(im, r->index,
	     m->state == IMPORT_NEW || m->state == IMPORT_CHANGED ||
		     m->differs);
	if (m->no_offer && im->warnings[WARNING_UNKNOWN_OFFER]++ == 0)
		im->no_offer_line = r->line;
	if (m->state != IMPORT_REJECTED)
		return note_seen(im, r, m);
	im->bad_encoding += strcmp(m->why->code, "bad-encoding") == 0;
	import_report_row(&im->report, r, m->why);
	return ERR_OK;
}

static enum err check_batch(struct import *im)
{
	enum err e = ERR_OK;

	import_pool_run(im->pool, check_slice, im);
	for (size_t k = 0; k < IMPORT_SLICES && e == ERR_OK; k++)
		e = im->slice_err[k];
	for (uint32_t i = 0; i < im->batch.count && e == ERR_OK; i++)
		e = judge_row(im, i);
	return e;
}

static bool check_rows(struct import *im)
{
	enum err e;

	import_report_begin(&im->report);
	for (;;) {
		e = import_source_next(&im->source, &im->batch, &im->why);
		if (e == ERR_NOT_FOUND)
			break;
		if (e != ERR_OK)
			return import_fail(im, EXIT_FAILED, e,
					   "cannot be read");
		e = check_batch(im);
		if (e != ERR_OK)
			return import_fail(im, cmd_exit(e), e,
					   "cannot be checked");
		import_report_progress(&im->report, "checking", im->rows, 0);
		if (cmd_is_cancelled(im->c))
			return import_fail(im, EXIT_FAILED, ERR_OK,
					   "interrupted; nothing was changed");
	}
	im->seen = im->source.seen;
	return true;
}

/* Contradictions within the file. */

static int compare_conflicts(const void *a, const void *b)
{
	const struct import_conflict *x = a;
	const struct import_conflict *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	/* A reason to reject comes before a repeat. */
	if (x->repeat != y->repeat)
		return x->repeat ? 1 : -1;
	return (x->learner ? 1 : 0) - (y->learner ? 1 : 0);
}

const struct import_conflict *import_conflict_at(const struct import *im,
						 uint64_t line)
{
	struct import_conflict key = { .line = line };
	uint32_t low = 0;
	uint32_t high = im->conflict_count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (im->conflicts[mid].line < key.line)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == im->conflict_count || im->conflicts[low].line != line)
		return NULL;
	return &im->conflicts[low];
}

static void add_conflicts(struct import *im, const struct import_seen *s,
			  bool learner)
{
	for (uint32_t i = 0; i < s->clash_count; i++)
		im->conflicts[im->conflict_count++] = (struct import_conflict){
			.line = s->clashes[i].line,
			.other = s->clashes[i].other,
			.repeat = s->clashes[i].repeat,
			.learner = learner,
			.state = (enum import_state)s->clashes[i].mark,
		};
}

static enum err find_conflicts(struct import *im)
{
	uint32_t kept = 0;
	enum import_state to;
	enum err e = import_seen_finish(&im->ids);

	if (e == ERR_OK)
		e = import_seen_finish(&im->people);
	if (e != ERR_OK)
		return e;
	im->learners_changed = im->people.counted;
	im->conflicts = xcalloc((size_t)im->ids.clash_count +
					im->people.clash_count + 1,
				sizeof(*im->conflicts));
	add_conflicts(im, &im->ids, false);
	add_conflicts(im, &im->people, true);
	qsort(im->conflicts, im->conflict_count, sizeof(*im->conflicts),
	      compare_conflicts);
	for (uint32_t i = 0; i < im->conflict_count; i++) {
		if (kept > 0 &&
		    im->conflicts[i].line == im->conflicts[kept - 1].line)
			continue;
		im->conflicts[kept++] = im->conflicts[i];
		to = im->conflicts[i].repeat ? IMPORT_UNCHANGED
					     : IMPORT_REJECTED;
		im->counts[im->conflicts[i].state]--;
		im->counts[to]++;
	}
	im->conflict_count = kept;
	return ERR_OK;
}

static void report_conflict(struct import *im, const struct import_record *r,
			    const struct import_conflict *k)
{
	struct complaint c;
	struct buf text;

	buf_init(&text, sizeof(c.message) - 1);
	buf_put_str(&text, k->learner ? "line " : "the same id is in line ");
	buf_put_dec(&text, k->other);
	buf_put_str(&text, k->learner
				   ? " gives the same learner another name or "
				     "date of birth"
				   : " with other content");
	buf_put_u8(&text, '\0');
	complain(&c, k->learner ? "learner-differs" : "id-twice",
		 k->learner ? "subject_id" : im->plan.schema->id,
		 text.p != NULL ? (const char *)text.p : "",
		 "mend or remove one of them");
	buf_free(&text);
	import_report_row(&im->report, r, &c);
}

/* A reading of its own, only when there is something to tell. */
static bool report_conflicts(struct import *im)
{
	const struct import_conflict *k;
	enum err e = ERR_OK;

	if (im->conflict_count == 0)
		return true;
	e = import_source_rewind(&im->source, &im->why);
	while (e == ERR_OK) {
		e = import_source_next(&im->source, &im->batch, &im->why);
		for (uint32_t i = 0; i < im->batch.count && e == ERR_OK; i++) {
			k = import_conflict_at(im, im->batch.records[i].line);
			if (k != NULL && !k->repeat)
				report_conflict(im, &im->batch.records[i], k);
		}
	}
	return e == ERR_NOT_FOUND ||
	       import_fail(im, EXIT_FAILED, e, "cannot be read again");
}

/* From here on no other import writes: what the first reading sees is what
 * the second one finds, and the limits hold. A check writes nothing. */
static bool hold_still(struct import *im)
{
	if (!im->o->check) {
		im->lock = import_lock_writing(im->c, im->tmp);
		if (im->lock < 0)
			return import_fail(im, EXIT_FAILED, ERR_OK,
					   "interrupted; nothing was changed");
	}
	im->plan.undone = im->plan.schema->kind == KIND_CREDENTIAL &&
			  has_undone(im->c->home);
	return true;
}

static bool check_file(struct import *im)
{
	enum err e;

	if (!hold_still(im) || !check_rows(im))
		return false;
	e = find_conflicts(im);
	if (e == ERR_LIMIT)
		return import_fail(im, EXIT_FAILED, ERR_OK,
				   "more than a million rows contradict or "
				   "repeat each other; is the id column the "
				   "right one?");
	if (e != ERR_OK)
		return import_fail(im, EXIT_FAILED, e, "cannot be compared");
	if (!report_conflicts(im))
		return false;
	for (size_t i = 0; i < IMPORT_SLICES; i++) {
		for (size_t w = 0; w < WARNING_COUNT; w++)
			im->warnings[w] += im->makers[i].x.warnings[w];
	}
	if (im->bad_encoding > 0 && im->letters == 0)
		return import_fail(im, EXIT_FAILED, ERR_OK,
				   "is not UTF-8 (see above); nothing was "
				   "changed");
	return true;
}

/* Limits. */

static bool keeps_limits(struct import *im)
{
	uint64_t changed = im->counts[IMPORT_CHANGED] + im->learners_changed;
	uint64_t good = im->rows - im->counts[IMPORT_REJECTED];
	char more[80] = "";

	if (im->counts[IMPORT_REJECTED] > im->o->max_rejects) {
		cmd_msg(im->c,
			"%s: %" PRIu64 " rows rejected, --max-rejects allows "
			"%" PRIu64 "; nothing was changed",
			im->path, im->counts[IMPORT_REJECTED],
			im->o->max_rejects);
		im->exit = EXIT_REFUSED;
		return false;
	}
	if (changed <= IMPORT_CHANGED_FREE ||
	    changed * 100 <= (uint64_t)im->o->max_changed * good)
		return true;
	if (im->learners_changed > 0)
		(void)snprintf(more, sizeof(more),
			       " and %" PRIu64 " learners would change",
			       im->learners_changed);
	cmd_msg(im->c,
		"%s: %" PRIu64 " of %" PRIu64 " rows would change records "
		"that are there%s, --max-changed allows %u %%; nothing was "
		"changed. If that is meant: --max-changed 100",
		im->path, im->counts[IMPORT_CHANGED], good, more,
		im->o->max_changed);
	im->exit = EXIT_REFUSED;
	return false;
}

/* The result. */

static void put_json_result(struct import *im)
{
	const char *rejects = im->report.rejects;
	struct buf b;
	struct value file = value_str(slice_str(im->path));
	struct value kept = value_str(slice_str(rejects ? rejects : ""));
	const char *sep = "";

	buf_init(&b, 65536);
	value_put_json(&file, &b);
	cmd_out(im->c, "{\"v\":1,\"kind\":\"%s\",\"file\":%.*s,",
		im->plan.schema->plural, (int)b.n, (const char *)b.p);
	cmd_out(im->c,
		"\"new\":%" PRIu64 ",\"changed\":%" PRIu64
		",\"unchanged\":%" PRIu64 ",\"rejected\":%" PRIu64
		",\"learners_changed\":%" PRIu64 ",",
		im->counts[IMPORT_NEW], im->counts[IMPORT_CHANGED],
		im->counts[IMPORT_UNCHANGED], im->counts[IMPORT_REJECTED],
		im->learners_changed);
	buf_reset(&b);
	value_put_json(&kept, &b);
	cmd_out(im->c, "\"rejects\":%.*s,\"warnings\":{",
		rejects != NULL ? (int)b.n : 4,
		rejects != NULL ? (const char *)b.p : "null");
	for (size_t w = 0; w < WARNING_COUNT; w++) {
		if (im->warnings[w] == 0)
			continue;
		cmd_out(im->c, "%s\"%s\":%" PRIu64, sep,
			schema_warning_code((enum schema_warning)w),
			im->warnings[w]);
		sep = ",";
	}
	cmd_out(im->c, "},\"check\":%s", im->o->check ? "true" : "false");
	if (im->number > 0)
		cmd_out(im->c, ",\"import\":%" PRIu64, im->number);
	cmd_out(im->c, "}\n");
	buf_free(&b);
}

static void tell_warnings(struct import *im)
{
	char first[48] = "";

	for (size_t w = 0; w < WARNING_COUNT; w++) {
		if (w == WARNING_UNKNOWN_OFFER)
			(void)snprintf(first, sizeof(first),
				       "; the first in line %" PRIu64,
				       im->no_offer_line);
		if (im->warnings[w] > 0)
			cmd_msg(im->c, "%s: warning: %" PRIu64 " %s (%s)%s",
				im->path, im->warnings[w],
				schema_warning_text((enum schema_warning)w),
				schema_warning_code((enum schema_warning)w),
				w == WARNING_UNKNOWN_OFFER ? first : "");
	}
}

static void tell(struct import *im)
{
	tell_warnings(im);
	if (im->report.rejects != NULL && im->report.err == ERR_OK)
		cmd_msg(im->c,
			"%s: rejected rows are in %s; mend and import "
			"that file",
			im->path, im->report.rejects);
	if (im->c->json) {
		put_json_result(im);
		return;
	}
	cmd_out_text(im->c, slice_str(im->path));
	cmd_out(im->c, im->o->check ? ": would be: " : ": ");
	cmd_out(im->c,
		"%" PRIu64 " new, %" PRIu64 " changed, %" PRIu64
		" unchanged, %" PRIu64 " rejected",
		im->counts[IMPORT_NEW], im->counts[IMPORT_CHANGED],
		im->counts[IMPORT_UNCHANGED], im->counts[IMPORT_REJECTED]);
	if (im->learners_changed > 0)
		cmd_out(im->c, ", %" PRIu64 " learners changed",
			im->learners_changed);
	if (im->o->check)
		cmd_out(im->c, " (check: nothing was changed)");
	if (im->number > 0)
		cmd_out(im->c, " (import %" PRIu64 ")", im->number);
	cmd_out(im->c, "\n");
}

/* Waiting for partners. */

static bool is_cancelled(void *arg)
{
	return cmd_is_cancelled(arg);
}

static uint64_t own_size(const struct home *h)
{
	struct store_head head = { .heard_ms = 0 };
	struct store_txn *t;

	if (store_read(h->store, &t) != ERR_OK)
		return 0;
	if (store_head_get(t, h->own_log, &head) != ERR_OK)
		head.frontier.size = 0;
	store_abort(t);
	return head.frontier.size;
}

static void wait_for_partners(struct import *im)
{
	uint32_t have = 0;
	enum err e;

	if (im->o->wait == 0 || im->o->check)
		return;
	e = node_wait_cosigned(im->c->node, own_size(im->c->home), im->o->wait,
			       im->o->wait_seconds * 1000u, is_cancelled, im->c,
			       &have);
	if (e == ERR_OK)
		return;
	cmd_msg(im->c,
		"%s: the records are in, but only %u of %u partners have "
		"countersigned that they hold them: %s",
		im->path, have, im->o->wait, err_text(e));
	im->exit = EXIT_WARNING;
}

static void run(struct import *im)
{
	enum err e;

	if (!open_all(im) || !check_file(im)) {
		import_report_drop(&im->report);
		if (im->report.rejected > 0)
			(void)(import_report_end(&im->report) == ERR_OK);
		return;
	}
	e = import_report_end(&im->report);
	if (e != ERR_OK) {
		im->exit = cmd_exit(e);
		return;
	}
	if (!keeps_limits(im))
		return;
	if (!im->o->check &&
	    im->counts[IMPORT_NEW] + im->counts[IMPORT_CHANGED] +
			    im->learners_changed >
		    0 &&
	    !import_write(im))
		return;
	import_unlock(im);
	tell(im);
	if (im->exit == EXIT_OK && im->counts[IMPORT_REJECTED] > 0)
		im->exit = EXIT_PARTLY;
	wait_for_partners(im);
}

int import_file(struct cmd *c, const struct import_options *o, const char *path)
{
	struct import *im;
	int exit;

	if (o->wait > 0 && c->node == NULL) {
		cmd_msg(c, "--wait needs the running node: start it with "
			   "`serve`");
		return EXIT_UNREACHABLE;
	}
	im = xcalloc(1, sizeof(*im));
	init(im, c, o, path);
	run(im);
	exit = im->exit;
	release(im);
	free(im);
	return exit;
}
