/* Writing canonical msgpack into a buffer; errors are sticky.
 *
 * The packing is msgpack-c's; what is ours is the choice of forms: shortest
 * integers, non-negative ones unsigned, no nil, floats or ext. The caller
 * writes map keys in order (value.h sorts for those who cannot).
 * PROTOCOL.md section 3. */

#ifndef PROTO_ENC_H
#define PROTO_ENC_H

#include "bytes.h"

struct enc {
	struct buf *out; /* borrowed; carries the sticky error */
};

void enc_init(struct enc *e, struct buf *out);
void enc_array(struct enc *e, uint32_t count);
void enc_map(struct enc *e, uint32_t pairs);
void enc_uint(struct enc *e, uint64_t v);
void enc_int(struct enc *e, int64_t v);
void enc_bool(struct enc *e, bool v);
void enc_str(struct enc *e, struct slice s);
void enc_cstr(struct enc *e, const char *s);
void enc_bin(struct enc *e, struct slice s);
void enc_raw(struct enc *e, struct slice encoded); /* already canonical */
WARN_UNUSED enum err enc_finish(const struct enc *e);

#endif /* PROTO_ENC_H */
