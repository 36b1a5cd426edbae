# Symbolon: `make run` shows it, `make test` proves it; see README.md.
#
# Objects of each configuration live apart (build/release, build/asan, ...):
# BUILD=release|asan|tsan|plain. Sources are found by name; nothing is
# generated.

CC := gcc
BUILD ?= release
PREFIX ?= /usr/local
PACKAGES := libuv libcrypto libssl msgpack jansson libcyaml yaml-0.1 libutf8proc

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Wundef -Wswitch-enum \
	-Wimplicit-fallthrough -Wcast-qual -Wwrite-strings -Wformat=2 -Werror
CFLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
CFLAGS_plain := -O1 -g
CFLAGS_asan := -O1 -g -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS_tsan := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
LDFLAGS_release := -pie -Wl,-z,relro,-z,now
SANITIZE_OF_fuzz := fuzzer,address,undefined

CPPFLAGS += -std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -I. \
	$(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
CFLAGS += $(CFLAGS_$(BUILD)) $(WARN)
LDFLAGS += $(LDFLAGS_$(BUILD))
LDLIBS += $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -llmdb -lpthread
O := build/$(BUILD)
Q := $(if $V,,@)
say := @$(if $V,:,echo ' ')

objects = $(patsubst %.c,$O/%.o,$(wildcard $1))
PROTO := $(call objects,proto/*.c)
NODE := $(filter-out $O/node/main.o,$(call objects,node/*.c))
LIB := $(call objects,tests/lib/*.c) $(call objects,tests/node/lib/*.c)
SIM := $(filter-out $O/tests/sim/test_%.o $O/tests/sim/main.o,\
	$(call objects,tests/sim/*.c))
programs = $(patsubst %.c,$O/%,$(wildcard $1))
UNIT := $(call programs,tests/proto/test_*.c)
SIMTEST := $(call programs,tests/sim/test_*.c)
NODETEST := $(call programs,tests/node/test_*.c)
BENCH := $(call programs,tests/bench/bench_*.c)
FUZZ := $(patsubst %.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

.PHONY: all run test check test-all lint format bench sim fuzz cover soak \
	install clean setup setup-test unit nodetest programs fuzzers
all: $O/symbolon

# ---- what a newcomer types ------------------------------------------------

run: setup
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@conf/demo.sh $O/symbolon

test: setup-test
	@$(MAKE) --no-print-directory test-all

setup:
	@conf/setup.sh build
setup-test:
	@conf/setup.sh build test

# ---- building -------------------------------------------------------------

$O/symbolon: $O/node/main.o $O/libnode.a $O/libproto.a
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$O/%.o: %.c
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$O/node/sample.o build/fuzz/node/sample.o: conf/symbolon.yaml.sample

$O/lib%.a:
	$(say) AR $@
	@rm -f $@
	$(Q)ar rcs $@ $^
$O/libproto.a: $(PROTO)
$O/libnode.a: $(NODE)
$O/libtest.a: $(LIB)

# A test of proto/ links all of proto/ and nothing of node/.
$O/tests/proto/%: $O/tests/proto/%.o $O/libtest.a $O/libproto.a
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)
$O/tests/node/%: $O/tests/node/%.o $O/libtest.a $O/libnode.a $O/libproto.a
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)
$O/tests/sim/sim: $O/tests/sim/main.o $(SIM) $O/libproto.a
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$O/tests/sim/test_%: $O/tests/sim/test_%.o $(SIM) $O/libtest.a $O/libproto.a
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)
$O/tests/bench/%: $O/tests/bench/%.o $O/libnode.a $O/libproto.a
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

build/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)clang $(CPPFLAGS) -O1 -g $(WARN) -Wno-missing-prototypes -MMD -MP \
		-fsanitize=$(SANITIZE_OF_fuzz) -c -o $@ $<
FUZZ_OBJ := $(patsubst %.c,build/fuzz/%.o,$(wildcard proto/*.c) \
	$(filter-out node/main.c,$(wildcard node/*.c)))
build/fuzz/libours.a: $(FUZZ_OBJ)
	$(say) AR $@
	@rm -f $@
	$(Q)ar rcs $@ $^
build/fuzz/tests/fuzz/%: build/fuzz/tests/fuzz/%.o build/fuzz/libours.a
	$(say) LD $@
	$(Q)clang -fsanitize=$(SANITIZE_OF_fuzz) -o $@ $^ $(LDLIBS)

unit: $(UNIT) $(SIMTEST)
nodetest: $(NODETEST)
programs: $O/symbolon $(BENCH)
fuzzers: $(FUZZ)

# ---- proving --------------------------------------------------------------

check:      # the quick layers: unit and simulator, with sanitizers
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=asan unit
	@tests/run.sh check
test-all:   # everything; CI runs this
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=asan unit nodetest all
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=tsan nodetest
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@$(MAKE) --no-print-directory -j$$(nproc) fuzzers
	@tests/run.sh test
lint: setup-test
	@tests/lint.sh
format:
	clang-format -i $$(git ls-files '*.[ch]')
sim:        # many seeds: make sim SEEDS=1..100000
	@$(MAKE) --no-print-directory BUILD=release build/release/tests/sim/sim
	build/release/tests/sim/sim --seeds $(or $(SEEDS),1..10000)
fuzz: fuzzers # each target for SECONDS_EACH seconds
	@tests/fuzz/run.sh $(or $(SECONDS_EACH),60)
soak:       # the long versions: ROUNDS of kill -9
	@$(MAKE) --no-print-directory BUILD=asan all nodetest
	@tests/run.sh soak $(or $(ROUNDS),2000)
bench: setup
	@$(MAKE) --no-print-directory programs
	@tests/bench/run.sh $O $(BENCH_FLAGS)
cover:
	@$(MAKE) --no-print-directory BUILD=cover unit nodetest
	@tests/run.sh cover

install: all
	install -D -m 755 $O/symbolon $(DESTDIR)$(PREFIX)/bin/symbolon
	install -D -m 644 conf/symbolon.1 \
		$(DESTDIR)$(PREFIX)/share/man/man1/symbolon.1
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/local/bin/|$(PREFIX)/bin/|' conf/symbolon.service \
		> $(DESTDIR)$(PREFIX)/lib/systemd/system/symbolon.service
	chmod 644 $(DESTDIR)$(PREFIX)/lib/systemd/system/symbolon.service
	install -D -m 644 conf/symbolon.sysusers \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d/symbolon.conf
	install -D -m 644 conf/symbolon.yaml.sample \
		$(DESTDIR)$(PREFIX)/share/doc/symbolon/symbolon.yaml.sample
clean:
	rm -rf build

.SECONDARY:
-include $(shell find build -name '*.d' 2>/dev/null)
