#include "enc.h"

#include <msgpack/pack.h>

/* msgpack-c's packer calls this for each piece it has formed. */
static int put(void *data, const char *p, size_t n)
{
	buf_put(data, slice_of(p, n));
	return 0;
}

static msgpack_packer packer(struct enc *e)
{
	return (msgpack_packer){ .data = e->out, .callback = put };
}

void enc_init(struct enc *e, struct buf *out)
{
	e->out = out;
}

void enc_array(struct enc *e, uint32_t count)
{
	msgpack_packer pk = packer(e);

	msgpack_pack_array(&pk, count);
}

void enc_map(struct enc *e, uint32_t pairs)
{
	msgpack_packer pk = packer(e);

	msgpack_pack_map(&pk, pairs);
}

void enc_uint(struct enc *e, uint64_t v)
{
	msgpack_packer pk = packer(e);

	msgpack_pack_uint64(&pk, v);
}

void enc_int(struct enc *e, int64_t v)
{
	msgpack_packer pk = packer(e);

	/* PROTOCOL.md 3.2: what is not negative has the unsigned form. */
	if (v >= 0)
		msgpack_pack_uint64(&pk, (uint64_t)v);
	else
		msgpack_pack_int64(&pk, v);
}

void enc_bool(struct enc *e, bool v)
{
	msgpack_packer pk = packer(e);

	if (v)
		msgpack_pack_true(&pk);
	else
		msgpack_pack_false(&pk);
}

/* Lengths have 32 bits on the wire; msgpack-c would cut them silently. */
static bool fits(struct enc *e, size_t n)
{
	if (n > UINT32_MAX && e->out->err == ERR_OK)
		e->out->err = ERR_LIMIT;
	return n <= UINT32_MAX;
}

void enc_str(struct enc *e, struct slice s)
{
	msgpack_packer pk = packer(e);

	if (!fits(e, s.n))
		return;
	msgpack_pack_str(&pk, s.n);
	buf_put(e->out, s);
}

void enc_cstr(struct enc *e, const char *s)
{
	enc_str(e, slice_str(s));
}

void enc_bin(struct enc *e, struct slice s)
{
	msgpack_packer pk = packer(e);

	if (!fits(e, s.n))
		return;
	msgpack_pack_bin(&pk, s.n);
	buf_put(e->out, s);
}

void enc_raw(struct enc *e, struct slice encoded)
{
	buf_put(e->out, encoded);
}

enum err enc_finish(const struct enc *e)
{
	return e->out->err;
}
