/* One immutable picture of the alliance, shared and exchanged while others
 * read it. */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/tmp.h"
#include "tests/node/lib/nest.h"

#define ok(e) assert_int_equal((e), ERR_OK)
#define MEMBERS 7

/* ---- Fixture -------------------------------------------------------------- */

static const char *const names[MEMBERS] = {
	"a.example", "b.example",   "bb.example", "c.b.example",
	"d.example", "x.a.example", "zz.example",
};

struct fixture {
	char *root;
	struct nest n[MEMBERS];
	struct nest *all[MEMBERS];
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->root = tmp_make();
	for (int i = 0; i < MEMBERS; i++) {
		nest_make(&f->n[i], f->root, names[i]);
		nest_open(&f->n[i]);
		f->all[i] = &f->n[i];
	}
	nest_ally(f->all, MEMBERS);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < MEMBERS; i++)
		nest_free(&f->n[i]);
	tmp_remove(f->root);
	free(f);
	return 0;
}

/* ---- Look-ups ------------------------------------------------------------- */

static void every_member_is_found_by_name_and_by_pin(void **state)
{
	struct fixture *f = *state;
	struct members *m = members_hold(f->n[0].home.members);

	for (int i = 0; i < MEMBERS; i++) {
		struct slice name = slice_str(names[i]);
		const struct descriptor *card = members_card(m, name);

		assert_non_null(card);
		assert_true(slice_equal(card->member, name));
		assert_true(members_has(m, name));
		assert_ptr_equal(members_by_pin(m, &f->n[i].home.keys.tls_spki),
				 card);
	}
	members_release(m);
}

static void strangers_are_found_in_no_way(void **state)
{
	static const char *const strangers[] = {
		"", "a", "a.exampl", "a.examplea", "b.b.example", "zzz.example",
	};
	struct fixture *f = *state;
	struct members *m = members_hold(f->n[0].home.members);
	struct digest pin = hash_empty();

	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		assert_null(members_card(m, slice_str(strangers[i])));
		assert_false(members_has(m, slice_str(strangers[i])));
	}
	assert_null(members_by_pin(m, &pin));
	members_release(m);
}

static void a_removed_member_keeps_its_card_and_loses_its_pin(void **state)
{
	struct fixture *f = *state;
	struct head final = { .root = hash_empty() };
	struct members *before = members_hold(f->n[0].home.members);
	struct digest alliance = before->alliance;
	struct members *m;

	nest_expel(f->all, MEMBERS, 2, &final);
	m = members_hold(f->n[0].home.members);
	assert_ptr_not_equal(m, before);
	assert_true(members_has(before, slice_str(names[2])));
	assert_false(members_has(m, slice_str(names[2])));
	assert_non_null(members_card(m, slice_str(names[2])));
	assert_null(members_by_pin(m, &f->n[2].home.keys.tls_spki));
	assert_non_null(members_by_pin(m, &f->n[3].home.keys.tls_spki));
	/* the alliance's name is its first roster, whatever follows */
	assert_int_equal(m->roster->version, 2);
	assert_true(digest_equal(&m->alliance, &alliance));
	members_release(before);
	members_release(m);
}

static enum err put_card(struct writer_txn *t, void *arg)
{
	const char *why;

	return writer_put_card(t, buf_slice(arg), &why);
}

static void the_newest_card_counts_and_an_older_one_is_refused(void **state)
{
	struct fixture *f = *state;
	struct buf third = nest_card(&f->n[1], 3);
	struct buf second = nest_card(&f->n[1], 2);
	struct members *m;

	ok(nest_run(&f->n[0], put_card, &third));
	assert_int_equal(nest_run(&f->n[0], put_card, &second), ERR_EXISTS);
	m = members_hold(f->n[0].home.members);
	assert_int_equal(m->card_count, MEMBERS);
	assert_int_equal(members_card(m, slice_str(names[1]))->version, 3);
	members_release(m);
	buf_free(&second);
	buf_free(&third);
}

/* ---- What is stored ------------------------------------------------------- */

static enum err spoil_card(struct writer_txn *t, void *arg)
{
	(void)arg;
	return store_doc_put(writer_store(t), "card", SLICE_LIT("b.example"), 9,
			     SLICE_LIT("not a card\n"));
}

static void a_spoilt_stored_document_is_told_by_name(void **state)
{
	struct fixture *f = *state;
	struct store_txn *t;
	struct members *m;
	struct buf why;

	ok(nest_run(&f->n[0], spoil_card, NULL));
	buf_init(&why, 4096);
	ok(store_read(f->n[0].home.store, &t));
	assert_int_not_equal(members_load(t, &m, &why), ERR_OK);
	store_abort(t);
	buf_put_u8(&why, 0);
	assert_non_null(strstr((char *)why.p, "b.example"));
	buf_free(&why);
}

static enum err spoil_in_a_job(struct writer_txn *t, void *arg)
{
	enum err err = put_card(t, arg);

	return err == ERR_OK ? spoil_card(t, NULL) : err;
}

static void what_could_not_be_loaded_is_not_committed(void **state)
{
	struct fixture *f = *state;
	struct buf card = nest_card(&f->n[2], 3);
	struct members *before = members_hold(f->n[0].home.members), *m;

	assert_int_not_equal(nest_run(&f->n[0], spoil_in_a_job, &card), ERR_OK);
	m = members_hold(f->n[0].home.members);
	assert_ptr_equal(m, before);
	members_release(m);
	members_release(before);
	nest_close(&f->n[0]);
	nest_open(&f->n[0]);
	buf_free(&card);
}

/* ---- Sharing -------------------------------------------------------------- */

struct reader {
	struct members_cell *cell;
	atomic_bool stop;
	unsigned seen;
};

static void *read_on(void *arg)
{
	struct reader *r = arg;

	while (!atomic_load(&r->stop)) {
		struct members *m = members_hold(r->cell);

		r->seen += members_card(m, SLICE_LIT("b.example")) != NULL;
		members_release(m);
	}
	return NULL;
}

static void a_picture_may_be_exchanged_while_it_is_read(void **state)
{
	struct fixture *f = *state;
	struct reader r = { .cell = f->n[0].home.members };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, read_on, &r), 0);
	for (uint64_t version = 3; version < 80; version += 2) {
		struct buf card = nest_card(&f->n[1], version);

		ok(nest_run(&f->n[0], put_card, &card));
		buf_free(&card);
	}
	atomic_store(&r.stop, true);
	pthread_join(thread, NULL);
	assert_true(r.seen > 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(every_member_is_found_by_name_and_by_pin),
		T(strangers_are_found_in_no_way),
		T(a_removed_member_keeps_its_card_and_loses_its_pin),
		T(the_newest_card_counts_and_an_older_one_is_refused),
		T(a_spoilt_stored_document_is_told_by_name),
		T(what_could_not_be_loaded_is_not_committed),
		T(a_picture_may_be_exchanged_while_it_is_read),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
