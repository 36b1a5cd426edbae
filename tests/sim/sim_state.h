/* What the files of the simulator share. */

#ifndef TESTS_SIM_STATE_H
#define TESTS_SIM_STATE_H

#include "sim.h"

#include "proto/mesh_state.h"

#define SIM_LEVELS 24u /* logs stay far below 2^24 records */
#define SIM_DOCS 8u /* versions of one document */
#define SIM_CONNS 64u /* at once */

/* One record as it exists somewhere; never changed, freed with the sim. */
struct sim_record {
	struct sim_record *next; /* all of them */
	uint8_t leaf[LIMIT_LEAF_BYTES];
	uint32_t leaf_bytes;
	uint8_t salt[LIMIT_SALT_BYTES];
	uint8_t body[64];
	uint32_t body_bytes; /* 0: not held */
};

/* One log on a disk. */
struct sim_log {
	char origin[64];
	uint64_t n, cap;
	struct sim_record **records; /* borrowed */
	struct digest *nodes[SIM_LEVELS]; /* roots of perfect subtrees */
	uint64_t node_count[SIM_LEVELS], node_cap[SIM_LEVELS];
	struct frontier frontier;
	struct head head; /* newest complete */
	struct buf note;
	struct cosign_state cosigned;
	struct buf evidence; /* FORK frame */
	uint64_t missing; /* bodies entitled to and not held */
};

/* All that outlives the process. */
struct sim_disk {
	struct sim_log logs[SIM_NODES_MAX];
	uint32_t roster; /* index of the newest roster installed */
	uint32_t cards[SIM_NODES_MAX]; /* the same of each card */
	bool trusted; /* guard and store agree */
};

enum sim_job_type {
	JOB_SUBMIT,
	JOB_APPLY,
	JOB_NOTE,
	JOB_FORK,
	JOB_BODIES,
};

/* What the writer of a node has to do. */
struct sim_job {
	struct sim_job *next;
	enum sim_job_type type;
	uint32_t log;
	uint64_t id;
	uint32_t count; /* SUBMIT, APPLY, BODIES */
	struct sim_record **records; /* owned list */
	uint64_t *seqs; /* BODIES; owned */
	uint64_t from;
	struct head head;
	struct buf note; /* APPLY, NOTE; FORK: the frame */
	struct digest right[LIMIT_COVER_HASHES];
	uint32_t right_count;
	enum err result;
	struct frontier after;
	struct buf line; /* own cosignature */
};

struct sim_node {
	uint32_t index;
	char name[32];
	struct note_key governance, log_key, witness;
	uint8_t secrets[3][SIG_SECRET_BYTES];
	bool liar;
	bool up;
	bool full; /* its disk */
	uint64_t epoch; /* counts starts and crashes */
	struct mesh *mesh;
	uint64_t tick_ms; /* planned, UINT64_MAX: none */
	enum mesh_signing signing;
	struct sim_disk disk, backup;
	bool has_backup;
	/* The snapshot that the mesh borrows. */
	struct arena members_arena;
	struct roster roster;
	struct descriptor cards[SIM_NODES_MAX];
	uint32_t card_count;
	/* The writer. */
	struct sim_job *jobs, **jobs_tail;
	bool writing;
	uint32_t job_count;
	uint32_t answers;
	uint64_t remembered[SIM_NODES_MAX]; /* for the planted bug */
	uint64_t cosigned[SIM_NODES_MAX]; /* largest that left */
	struct buf replay; /* liar: an older CHUNK */
};

/* One direction of a TCP link. */
struct sim_pipe {
	struct buf in; /* arrived, not yet a whole frame */
	struct buf waiting; /* sent, not yet on its way (direction cut) */
	uint64_t flying; /* bytes on their way */
	uint64_t last_ms; /* arrival of the newest of them */
	bool congested; /* told to the sender */
};

struct sim_conn {
	uint64_t id; /* 0: free */
	uint32_t node[2]; /* [0] has dialled */
	uint64_t epoch[2];
	uint64_t link[2]; /* of each mesh; MESH_NO_LINK: gone */
	bool ended[2]; /* closes once everything has arrived */
	struct sim_pipe pipe[2]; /* [i]: what node[i] sends */
};

enum sim_event_type {
	EV_TICK,
	EV_CONNECT,
	EV_BYTES,
	EV_END, /* the other side has closed */
	EV_READ,
	EV_CHECK,
	EV_COMMIT,
	EV_ANSWER,
	EV_DIAL_FAILED,
};

struct sim_event {
	uint64_t at_ms, order;
	enum sim_event_type type;
	uint32_t node;
	uint64_t epoch; /* of the node: dropped after a crash */
	uint64_t conn, link, id;
	uint32_t end, log, member, bytes;
	uint64_t job, from;
	struct head head;
	struct buf data;
};

struct sim {
	struct sim_options o;
	uint64_t random, now_ms, order, next_conn;
	struct sim_event **heap;
	uint32_t heap_count, heap_cap;
	struct sim_node nodes[SIM_NODES_MAX];
	struct sim_conn conns[SIM_CONNS];
	bool cut[SIM_NODES_MAX][SIM_NODES_MAX]; /* from, to */
	bool forked[SIM_NODES_MAX]; /* logs, as planned */
	bool truth; /* for a while nobody lies */
	struct sim_record *records; /* all */
	struct buf rosters[SIM_DOCS];
	uint32_t roster_count;
	struct buf cards[SIM_NODES_MAX][SIM_DOCS];
	uint32_t card_count[SIM_NODES_MAX];
	struct digest alliance;
	char violation[256];
	uint64_t steps;
};

/* sim.c */
void sim_trace(struct sim *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void sim_fail(struct sim *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
struct sim_event *sim_plan(struct sim *s, uint64_t in_ms,
			   enum sim_event_type type, uint32_t node);
void sim_drain(struct sim *s, struct sim_node *n);

/* sim_log.c: logs and disks */
void sim_log_init(struct sim_log *l, const char *name);
void sim_log_free(struct sim_log *l);
void sim_log_copy(struct sim_log *to, const struct sim_log *from);
void sim_log_append(struct sim_log *l, struct sim_record *r);
struct merkle_source sim_log_source(const struct sim_log *l);
struct digest sim_leaf_hash(const struct sim_record *r);
struct sim_record *sim_record_new(struct sim *s);
struct sim_record *sim_record_make(struct sim *s, const char *origin);
/* Does a body, if there is one, belong to its leaf? */
bool sim_record_is_sound(const struct sim_record *r, const char *origin);
bool sim_record_admits(const struct sim_record *r, bool own);
void sim_disk_free(struct sim_disk *d);
void sim_disk_copy(struct sim_disk *to, const struct sim_disk *from);

/* sim_docs.c: keys, rosters, cards */
void sim_docs_open(struct sim *s);
void sim_docs_close(struct sim *s);
void sim_docs_load(struct sim *s, struct sim_node *n);
void sim_docs_tell(struct sim *s, struct sim_node *n);
void sim_docs_read(struct sim *s, struct sim_node *n, const struct mesh_out *o);
void sim_docs_take(struct sim *s, struct sim_node *n, const struct mesh_out *o);

/* sim_net.c: links */
void sim_net_dial(struct sim *s, struct sim_node *n, uint32_t to);
void sim_net_connect(struct sim *s, const struct sim_event *e);
void sim_net_send(struct sim *s, struct sim_node *n, void *tag,
		  struct slice bytes);
void sim_net_arrive(struct sim *s, struct sim_event *e);
void sim_net_end(struct sim *s, struct sim_node *n, void *tag);
void sim_net_ended(struct sim *s, const struct sim_event *e);
void sim_net_drop_node(struct sim *s, uint32_t node);
void sim_net_free(struct sim *s);

/* sim_disk.c: the writer and readers of a node */
void sim_job_add(struct sim *s, struct sim_node *n, struct sim_job *job);
/* The commit under way ended; @told: its bug has told of it already. */
void sim_job_done(struct sim *s, struct sim_node *n, bool told);
void sim_jobs_drop(struct sim_node *n);
void sim_disk_take(struct sim *s, struct sim_node *n, const struct mesh_out *o);
void sim_disk_read(struct sim *s, const struct sim_event *e);
void sim_disk_check(struct sim *s, const struct sim_event *e);
void sim_disk_tell(struct sim *s, struct sim_node *n);
void sim_disk_bodies(struct sim *s, struct sim_node *n,
		     const struct mesh_out *o);
void sim_disk_mend(struct sim *s, struct sim_node *n, uint32_t log);

/* sim_liar.c: what the liar does to a frame that it sends */
void sim_lie(struct sim *s, struct sim_node *n, struct buf *frame);

/* sim_check.c: invariants */
void sim_check_frame(struct sim *s, const struct sim_node *from, uint32_t to,
		     struct slice frame);
void sim_check_append(struct sim *s, const struct sim_node *n, uint32_t log,
		      uint64_t from);
void sim_check_node(struct sim *s, const struct sim_node *n);

#endif /* TESTS_SIM_STATE_H */
