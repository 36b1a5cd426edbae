/* The canonical reader: what the scan lets through, the cursor reads and
 * msgpack-c writes in the same bytes; what it refuses, the cursor survives. */

#include <assert.h>

#include "proto/dec.h"
#include "proto/enc.h"
#include "proto/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Recursive: only called behind the scan, so to LIMIT_DEPTH. */
static void copy_value(struct dec *d, struct enc *e)
{
	uint32_t n;

	switch (dec_peek(d)) {
	case DEC_UINT:
		enc_uint(e, dec_uint(d));
		break;
	case DEC_INT:
		enc_int(e, dec_int(d));
		break;
	case DEC_BOOL:
		enc_bool(e, dec_bool(d));
		break;
	case DEC_STR:
		enc_str(e, dec_str(d));
		break;
	case DEC_BIN:
		enc_bin(e, dec_bin(d));
		break;
	case DEC_ARRAY:
		n = dec_array(d);
		enc_array(e, n);
		for (uint32_t i = 0; i < n; i++)
			copy_value(d, e);
		break;
	case DEC_MAP:
		n = dec_map(d);
		enc_map(e, n);
		for (uint32_t i = 0; i < 2 * n; i++)
			copy_value(d, e);
		break;
	case DEC_END:
		assert(0 && "the scan lets nothing else through");
	}
}

/* Read the way that a message decoder does, on bytes that nobody scanned. */
static void read_blindly(struct slice in)
{
	struct slice value;
	uint8_t fixed[32];
	struct dec d;

	dec_init(&d, in);
	for (uint32_t n = dec_array(&d); n > 0 && d.err == ERR_OK; n--)
		dec_skip(&d);
	dec_init(&d, in);
	for (uint32_t n = dec_map(&d); n > 0 && d.err == ERR_OK; n--) {
		dec_str(&d);
		dec_bin_into(&d, fixed, sizeof(fixed));
	}
	dec_init(&d, in);
	value = dec_skip(&d);
	assert(d.err != ERR_OK || value.n + d.in.n == in.n);
	if (dec_find(in, "key", &value))
		assert(value.n > 0 && value.n < in.n);
	dec_find_str(in, "");
	dec_find_uint(in, "n", 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	const char *why = NULL;
	enum err e = dec_scan(in, &why);
	struct buf out;
	struct enc enc;
	struct dec d;

	read_blindly(in);
	if (e != ERR_OK) {
		assert(why != NULL && why[0] == '3');
		return 0;
	}
	buf_init(&out, size);
	enc_init(&enc, &out);
	dec_init(&d, in);
	copy_value(&d, &enc);
	assert(dec_finish(&d) == ERR_OK && enc_finish(&enc) == ERR_OK);
	assert(slice_equal(buf_slice(&out), in));
	/* A canonical document has no canonical prefix. */
	assert(dec_scan(slice_of(data, size - 1), NULL) == ERR_TRUNCATED);
	buf_free(&out);
	return 0;
}
