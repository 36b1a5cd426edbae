#include "node/dial.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "proto/text.h"

struct lookup {
	uv_getaddrinfo_t uv;
	struct loop *loop;
	struct loop_task later; /* for results that are there at once */
	dial_cb *cb;
	void *arg;
	struct dial_result result;
};

struct listener {
	uv_tcp_t tcp;
	listener_cb *cb;
	void *arg;
	char address[DIAL_TEXT_BYTES];
};

bool dial_split(struct slice endpoint, char host[LIMIT_ENDPOINT_BYTES + 1],
		char port[8])
{
	size_t colon = endpoint.n;
	struct slice h, p;
	uint64_t number;

	if (endpoint.n > LIMIT_ENDPOINT_BYTES)
		return false;
	while (colon > 0 && endpoint.p[colon - 1] != ':')
		colon--;
	if (colon < 2)
		return false;
	h = slice_sub(endpoint, 0, colon - 1);
	p = slice_sub(endpoint, colon, endpoint.n - colon);
	if (h.p[0] == '[' && h.n > 2 && h.p[h.n - 1] == ']')
		h = slice_sub(h, 1, h.n - 2);
	else if (memchr(h.p, ':', h.n) != NULL || h.p[0] == '[')
		return false;
	if (p.n > 5 || !text_parse_u64(p, &number) || number > 65535)
		return false;
	memcpy(host, h.p, h.n);
	host[h.n] = '\0';
	memcpy(port, p.p, p.n);
	port[p.n] = '\0';
	return true;
}

void dial_format(const struct sockaddr_storage *a, char text[DIAL_TEXT_BYTES])
{
	const struct sockaddr *any = (const struct sockaddr *)a;
	char host[INET6_ADDRSTRLEN] = "?", port[8] = "?";
	bool v6 = a->ss_family == AF_INET6;

	(void)getnameinfo(any, sizeof(*a), host, sizeof(host), port,
			  sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
	(void)snprintf(text, DIAL_TEXT_BYTES, v6 ? "[%s]:%s" : "%s:%s", host,
		       port);
}

static void take_addresses(struct dial_result *r, const struct addrinfo *list)
{
	for (; list != NULL && r->count < DIAL_ADDRESSES;
	     list = list->ai_next) {
		if (list->ai_addrlen > sizeof(r->address[0]))
			continue;
		memcpy(&r->address[r->count++], list->ai_addr,
		       list->ai_addrlen);
	}
	if (r->count == 0 && r->code == ERR_OK) {
		r->code = ERR_NOT_FOUND;
		(void)snprintf(r->why, sizeof(r->why), "no address");
	}
}

static void tell(struct lookup *q)
{
	q->cb(q->arg, &q->result);
	free(q);
}

static void on_later(struct loop_task *t)
{
	tell((struct lookup *)((char *)t - offsetof(struct lookup, later)));
}

static void on_resolved(uv_getaddrinfo_t *req, int status,
			struct addrinfo *list)
{
	struct lookup *q = req->data;
	struct dial_result *r = &q->result;

	r->code = loop_error(status, r->why, sizeof(r->why));
	if (r->code == ERR_IO || r->code == ERR_TIMEOUT)
		r->code = ERR_NOT_FOUND; /* the resolver's own trouble */
	take_addresses(r, list);
	uv_freeaddrinfo(list);
	tell(q);
}

void dial_resolve(struct loop *l, struct slice endpoint, dial_cb *cb, void *arg)
{
	struct lookup *q = xcalloc(1, sizeof(*q));
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_NUMERICSERV };
	char host[LIMIT_ENDPOINT_BYTES + 1], port[8];
	int bad;

	q->loop = l;
	q->cb = cb;
	q->arg = arg;
	q->uv.data = q;
	q->later.run = on_later;
	if (!dial_split(endpoint, host, port)) {
		q->result.code = ERR_MALFORMED;
		(void)snprintf(q->result.why, sizeof(q->result.why),
			       "not of the form HOST:PORT");
		loop_defer(l, &q->later);
		return;
	}
	bad = uv_getaddrinfo(loop_uv(l), &q->uv, on_resolved, host, port,
			     &hints);
	if (bad != 0) {
		(void)snprintf(q->result.why, sizeof(q->result.why), "%s",
			       uv_strerror(bad));
		q->result.code = ERR_NOT_FOUND;
		loop_defer(l, &q->later);
	}
}

static void on_connection(uv_stream_t *server, int status)
{
	struct listener *s = server->data;

	if (status == 0)
		s->cb(s->arg, s);
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

static void note_address(struct listener *s)
{
	struct sockaddr_storage a;
	int n = sizeof(a);

	memset(&a, 0, sizeof(a));
	if (uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&a, &n) == 0)
		dial_format(&a, s->address);
}

static enum err bind_first(struct listener *s, const struct addrinfo *list,
			   struct buf *why)
{
	int bad = UV_EADDRNOTAVAIL;

	if (list != NULL) /* libuv sets SO_REUSEADDR */
		bad = uv_tcp_bind(&s->tcp, list->ai_addr, 0);
	if (bad == 0)
		bad = uv_listen((uv_stream_t *)&s->tcp, DIAL_BACKLOG,
				on_connection);
	if (bad == 0)
		return ERR_OK;
	buf_put_str(why, uv_strerror(bad));
	return ERR_IO;
}

enum err listener_open(struct loop *l, struct slice endpoint, listener_cb *cb,
		       void *arg, struct listener **out, struct buf *why)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_NUMERICSERV | AI_PASSIVE };
	char host[LIMIT_ENDPOINT_BYTES + 1], port[8];
	struct addrinfo *list = NULL;
	struct listener *s;
	enum err e;
	int bad;

	buf_put_str(why, "cannot listen on ");
	buf_put(why, endpoint);
	buf_put_str(why, ": ");
	if (!dial_split(endpoint, host, port)) {
		buf_put_str(why, "not of the form HOST:PORT");
		return ERR_MALFORMED;
	}
	bad = getaddrinfo(host, port, &hints, &list);
	if (bad != 0) {
		buf_put_str(why, gai_strerror(bad));
		return ERR_IO;
	}
	s = xcalloc(1, sizeof(*s));
	bad = uv_tcp_init(loop_uv(l), &s->tcp);
	assert(bad == 0);
	s->tcp.data = s;
	s->cb = cb;
	s->arg = arg;
	e = bind_first(s, list, why);
	freeaddrinfo(list);
	if (e != ERR_OK) {
		listener_close(s);
		return e;
	}
	buf_reset(why);
	note_address(s);
	*out = s;
	return ERR_OK;
}

const char *listener_address(const struct listener *s)
{
	return s->address;
}

void listener_close(struct listener *s)
{
	if (s != NULL)
		uv_close((uv_handle_t *)&s->tcp, on_closed);
}

enum err listener_accept(struct listener *s, struct uv_tcp_s *tcp)
{
	char text[8];

	return loop_error(uv_accept((uv_stream_t *)&s->tcp, (uv_stream_t *)tcp),
			  text, sizeof(text));
}
