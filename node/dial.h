/* Addresses: HOST:PORT, name look-up, and the listening socket.
 *
 * Loop thread only, but for the pure functions. Connections themselves are
 * link.h's business. */

#ifndef NODE_DIAL_H
#define NODE_DIAL_H

#include <sys/socket.h>

#include "node/loop.h"
#include "proto/limits.h"

#define DIAL_ADDRESSES 8u /* tried of one name */
#define DIAL_TEXT_BYTES 64u /* [v6 address]:port */
#define DIAL_BACKLOG 128
#define DIAL_TEXT_WHY 160u

/* Split "host:port", "[v6]:port". False: not of this form. */
bool dial_split(struct slice endpoint, char host[LIMIT_ENDPOINT_BYTES + 1],
		char port[8]);
/* "127.0.0.1:4711", "[::1]:4711". */
void dial_format(const struct sockaddr_storage *a, char text[DIAL_TEXT_BYTES]);

struct dial_result {
	enum err code; /* ERR_NOT_FOUND: no such name; ERR_MALFORMED */
	uint32_t count;
	struct sockaddr_storage address[DIAL_ADDRESSES];
	char why[DIAL_TEXT_WHY];
};
typedef void dial_cb(void *arg, const struct dial_result *r);

/* Look an endpoint up, on the pool. Calls back exactly once, later. */
void dial_resolve(struct loop *l, struct slice endpoint, dial_cb *cb,
		  void *arg);

struct listener;
struct uv_tcp_s;
typedef void listener_cb(void *arg, struct listener *from);

/* Bind and listen; @cb for each connection that waits, which has to take it
 * with link_accept. ERR_MALFORMED, ERR_IO (@why: address and cause). The
 * name is looked up at once: for use at start and reload. */
WARN_UNUSED enum err listener_open(struct loop *l, struct slice endpoint,
				   listener_cb *cb, void *arg,
				   struct listener **out, struct buf *why);
/* As bound, with the real port. */
const char *listener_address(const struct listener *s);
void listener_close(struct listener *s); /* take; NULL is fine */
/* For link.c. */
WARN_UNUSED enum err listener_accept(struct listener *s, struct uv_tcp_s *tcp);

#endif /* NODE_DIAL_H */
