/* The commented configuration, conf/symbolon.yaml.sample, as part of the
 * program: what `init` fills in. */

#ifndef NODE_SAMPLE_H
#define NODE_SAMPLE_H

#include "proto/bytes.h"

struct slice sample_config(void); /* static storage */

#endif /* NODE_SAMPLE_H */
