# Symbolon. `make run` shows it, `make test` proves it; see README.md.

CC ?= cc
BUILD ?= release
PACKAGES := libuv libcrypto libssl msgpack jansson libcyaml yaml-0.1 libutf8proc

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Wundef -Wswitch-enum \
	-Wimplicit-fallthrough -Wcast-qual -Wwrite-strings -Wformat=2 -Werror
CFLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong
CFLAGS_asan := -O1 -g -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS_tsan := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
CFLAGS_plain := -O1 -g
CPPFLAGS += -std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -I. \
	$(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
CFLAGS += $(CFLAGS_$(BUILD)) $(WARN)
LDLIBS += $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -llmdb -lpthread
O := build/$(BUILD)

PROTO := $(patsubst %.c,$O/%.o,$(wildcard proto/*.c))
NODE := $(patsubst %.c,$O/%.o,$(filter-out node/main.c,$(wildcard node/*.c)))
TESTLIB := $(patsubst %.c,$O/%.o,$(wildcard tests/lib/*.c))
UNIT := $(patsubst %.c,$O/%,$(wildcard tests/proto/test_*.c))
NODETEST := $(patsubst %.c,$O/%,$(wildcard tests/node/test_*.c))

.PHONY: all clean unit
all: $O/symbolon
$O/symbolon: $O/node/main.o $(NODE) $(PROTO)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$O/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# A unit test of proto/ links all of proto/ and nothing of node/.
$O/tests/proto/%: $O/tests/proto/%.o $(TESTLIB) $(PROTO)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)
$O/tests/node/%: $O/tests/node/%.o $(TESTLIB) $(NODE) $(PROTO)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

unit: $(UNIT)
clean:
	rm -rf build

.SECONDARY:
-include $(shell find build -name '*.d' 2>/dev/null)
