/* Text forms: normalising and folding settle after one step, and whatever a
 * parser takes is printed in the form that it came in, or the shortest. */

#include <assert.h>
#include <string.h>

#include "proto/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROOM(size) (18 * (size) + 100)

static void check_nfc(struct slice in, struct buf *one, struct buf *two)
{
	enum err e = text_nfc(in, one);

	if (!text_is_utf8(in)) {
		assert(e == ERR_MALFORMED);
		assert(!text_is_clean(in) && !text_is_canonical(in));
		return;
	}
	if (e != ERR_OK) { /* too many marks */
		assert(e == ERR_MALFORMED && !text_is_canonical(in));
		return;
	}
	assert(text_is_canonical(in) ==
	       (text_is_clean(in) && slice_equal(buf_slice(one), in)));
	assert(text_nfc(buf_slice(one), two) == ERR_OK);
	assert(slice_equal(buf_slice(one), buf_slice(two)));
}

static void check_fold(struct slice in, struct buf *one, struct buf *two)
{
	if (text_fold(in, one) != ERR_OK)
		return;
	assert(text_is_utf8(buf_slice(one)));
	assert(text_fold(buf_slice(one), two) == ERR_OK);
	assert(slice_equal(buf_slice(one), buf_slice(two)));
}

static void check_coded(struct slice in, struct buf *one, struct buf *two)
{
	uint8_t raw[64];

	if (text_parse_base64(in, one) == ERR_OK) {
		text_put_base64(two, buf_slice(one));
		assert(slice_equal(buf_slice(two), in));
	}
	assert(one->err == ERR_OK);
	if (in.n / 2 <= sizeof(raw) && text_parse_hex(in, raw, in.n / 2)) {
		buf_reset(two);
		text_put_hex(two, slice_of(raw, in.n / 2));
		assert(slice_equal(buf_slice(two), in));
	}
}

static void check_numbers(struct slice in, struct buf *one)
{
	uint64_t back;
	uint64_t v;

	if (text_parse_u64(in, &v)) {
		buf_put_dec(one, v);
		assert(slice_equal(buf_slice(one), in));
	}
	if (text_parse_hundredths(in, true, &v) == ERR_OK) {
		assert(v <= 1ull << 53);
		buf_reset(one);
		text_put_hundredths(one, v);
		assert(one->n <= in.n);
		assert(text_parse_hundredths(buf_slice(one), false, &back) ==
		       ERR_OK);
		assert(back == v);
	}
}

static void check_dates(struct slice in, struct buf *one)
{
	uint64_t v;

	if (text_parse_instant(in, &v)) {
		assert(text_is_date(in) != text_is_instant(in));
		if (text_is_date(in))
			text_put_date(one, v);
		else
			text_put_instant(one, v);
		assert(slice_equal(buf_slice(one), in));
	}
	if (in.n >= 8) {
		buf_reset(one);
		text_put_instant(one, get_u64be(in.p));
		assert(text_is_instant(buf_slice(one)));
	}
	if (text_is_domain(in))
		assert(in.n >= 3 && text_is_clean(in));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct buf bufs[8];

	for (size_t i = 0; i < 8; i++)
		buf_init(&bufs[i], ROOM(ROOM(size)));
	check_nfc(in, &bufs[0], &bufs[1]);
	check_fold(in, &bufs[2], &bufs[3]);
	check_coded(in, &bufs[4], &bufs[5]);
	check_numbers(in, &bufs[6]);
	check_dates(in, &bufs[7]);
	for (size_t i = 0; i < 8; i++)
		buf_free(&bufs[i]);
	return 0;
}
