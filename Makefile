# SPDX-License-Identifier: MIT
#
# make            build/gfreplica
# make deps       install what building and testing need (Debian 12; root or sudo)
# make test       deps, build, then all tests against real servers; closing line "N passed, N failed"
# make demo       deps, build, then move a live database, be killed, go on, compare [SERVERS=mysql]
# make bench      deps, build, then measure beside other tools [SERVERS=mysql] [BENCH=full] [ROWS="copy4 ..."]
# make model      check the algorithm's models with spin, MODEL=quick | full | long (docs/model/README.md)
# make soak       random load, random faults, compare, again: MINUTES=n SEED=s [SERVERS=mysql] [ROUND=n: that one alone]
# make unit | integration | fidelity | fidelity-long | fault | asan | tsan | fuzz | lint | format | docs | install | clean
#
# V=1 shows the commands; T=name narrows unit, integration, fidelity, fault and tsan to test_name; KEEP=1 keeps the servers' data of a test run.

# One build folder per way of building: SAN= release, asan, tsan, fuzz.
SAN     ?=
B       := build$(if $(SAN),/$(SAN))
PREFIX  ?= /usr/local
SERVERS ?= mariadb
T       ?= *
FUZZ_SECONDS ?= 60
MODEL   ?= full
MINUTES ?= 10
SEED    ?= 1

ifeq ($(origin CC),default)
CC      := gcc
endif
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
MAKEFLAGS += --no-print-directory

WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
OPT     := -O2 -g
SAN_FLAGS.asan := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SAN_FLAGS.tsan := -O1 -fsanitize=thread -fno-omit-frame-pointer
SAN_FLAGS.fuzz := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

# Asked when first used, not when this file is read: `make deps` may have to install pkg-config first.
# Others' headers are system headers, so that our warnings are about our code.
PKGS    := libmariadb openssl msgpack check jansson libmicrohttpd libzstd zlib libxxhash
PKG_CFLAGS = $(eval PKG_CFLAGS := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PKGS))))$(PKG_CFLAGS)
PKG_LIBS   = $(eval PKG_LIBS := $(shell pkg-config --libs $(filter-out check,$(PKGS))))$(PKG_LIBS)
CHECK_LIBS = $(eval CHECK_LIBS := $(shell pkg-config --libs check))$(CHECK_LIBS)

LANG_FLAGS := -std=c11 -D_GNU_SOURCE -pthread
CPPFLAGS   += -Iinclude -Itests
CFLAGS     ?= $(OPT)
COMPILE     = $(CC) $(LANG_FLAGS) $(CPPFLAGS) $(PKG_CFLAGS) $(WARN) $(CFLAGS) $(SAN_FLAGS.$(SAN)) -MMD -MP
LINK        = $(CC) $(LANG_FLAGS) $(CFLAGS) $(LDFLAGS) $(SAN_FLAGS.$(SAN))

# One short line for each file, the whole command with V=1 or when make itself fails.
ifeq ($(V),1)
say     :=
Q       :=
else
say      = @printf '%-4s %s\n' $(1) $@
Q       := @
endif

# --- what there is ---------------------------------------------------------------------------------------------------

SRC      := $(wildcard src/*.c src/*/*.c)
MAIN     := $(filter src/main.c,$(SRC))
LIB_OBJ  := $(patsubst %.c,$(B)/%.o,$(filter-out src/main.c,$(SRC)))
HARNESS_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tests/harness/*.c))
LIB      := $(B)/libgfreplica.a
BIN      := $(B)/gfreplica

program   = $(patsubst %.c,$(B)/%,$(wildcard $(1)))
UNIT     := $(call program,tests/unit/test_$(T).c)
INTEGRATION := $(call program,tests/integration/test_$(T).c)
FAULT    := $(call program,tests/fault/test_$(T).c)
FIDELITY := $(call program,tests/fidelity/test_$(T).c)
FIDELITY_LONG := $(call program,tests/fidelity/long_*.c)
FUZZ     := $(call program,tests/fuzz/fuzz_*.c)
TOOLS    := $(patsubst tests/tools/%.c,$(B)/tools/%,$(wildcard tests/tools/*.c))
SOAK     := $(B)/tests/soak/soak
SOAK_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tests/soak/*.c))
BENCH_TOOLS := $(patsubst bench/%.c,$(B)/bench/%,$(wildcard bench/*.c))
ALL_C    := $(SRC) $(wildcard tests/*/*.c bench/*.c)
ALL_H    := $(wildcard include/gfreplica/*.h src/*.h src/*/*.h tests/*/*.h bench/*.h)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all build deps test test-built unit integration fidelity fidelity-long fault soak asan tsan fuzz fuzz-built demo docs install clean \
        distclean format lint bench bench-deps bench-tools model test-programs tools unit-programs

all: build

build: $(if $(MAIN),$(BIN)) $(LIB)

$(BIN): $(B)/src/main.o $(LIB)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(PKG_LIBS) -lm

# Made anew each time: an object whose source is gone must not stay in it.
$(LIB): $(LIB_OBJ)
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR)
	$(Q)ar rcs $@ $^

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(COMPILE) -c -o $@ $<

$(B)/tests/unit/%: $(B)/tests/unit/%.o $(LIB)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(CHECK_LIBS) $(PKG_LIBS) -lm

$(B)/tests/integration/%: $(B)/tests/integration/%.o $(HARNESS_OBJ) $(LIB)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(CHECK_LIBS) $(PKG_LIBS) -lm

$(B)/tests/fault/%: $(B)/tests/fault/%.o $(HARNESS_OBJ) $(LIB)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(CHECK_LIBS) $(PKG_LIBS) -lm

$(B)/tests/fidelity/%: $(B)/tests/fidelity/%.o $(B)/tests/fidelity/fidelity.o $(HARNESS_OBJ) $(LIB)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(CHECK_LIBS) $(PKG_LIBS) -lm

# For LD_PRELOAD.
$(B)/tests/fault/clock_shim.so: tests/fault/clock_shim.c
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(LANG_FLAGS) $(WARN) $(CFLAGS) -fPIC -shared -o $@ $<

$(SOAK): $(SOAK_OBJ) $(HARNESS_OBJ) $(LIB)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(PKG_LIBS) -lm

$(B)/tools/%: $(B)/tests/tools/%.o $(HARNESS_OBJ) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(PKG_LIBS) -lm

$(B)/bench/%: $(B)/bench/%.o
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(PKG_LIBS) -lm

$(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(LIB)
	$(call say,LINK)
	$(Q)$(LINK) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS) -lm

tools: $(TOOLS)
unit-programs: $(UNIT)
test-programs: $(INTEGRATION) $(FIDELITY) $(FAULT) $(B)/tests/fault/clock_shim.so $(TOOLS) $(SOAK)

# --- tests -----------------------------------------------------------------------------------------------------------

deps:
	@scripts/install-deps.sh

# A second make, because what `deps` installs has to be there before anything is compiled. The longest programs are not
# the last, or a processor would idle.
test: deps
	@$(MAKE) test-built

test-built: build test-programs
	@$(MAKE) SAN=asan unit-programs
	@scripts/run-tests.sh $(UNIT:build/%=build/asan/%) $(FAULT) $(INTEGRATION) $(FIDELITY) docs/model/run.sh

unit:
	@$(MAKE) SAN=asan unit-programs
	@scripts/run-tests.sh $(UNIT:build/%=build/asan/%)

integration: build test-programs
	@scripts/run-tests.sh $(INTEGRATION)

fidelity: build test-programs
	@scripts/run-tests.sh $(FIDELITY)

# What takes too long for every day: tens of thousands of tables (TABLES=n).
fidelity-long: build $(FIDELITY_LONG)
	@TEST_TIMEOUT=7200 scripts/run-tests.sh $(FIDELITY_LONG)

# Each fault at each stage on a job of its own; make test puts most of them upon one.
fault: build test-programs
	@FAULTS=all TEST_TIMEOUT=7200 scripts/run-tests.sh $(FAULT)

# Not part of any test: as long as one likes, and it keeps all when something is wrong.
soak: build $(SOAK)
	@$(SOAK) $(SERVERS) $(MINUTES) $(SEED) $(ROUND)

# All tests with gfreplica itself built with the sanitizer as well.
asan tsan:
	@$(MAKE) SAN=$@ build unit-programs test-programs
	@GFREPLICA=build/$@/gfreplica scripts/run-tests.sh $(foreach p,$(UNIT) $(INTEGRATION) $(FIDELITY) $(FAULT),$(p:build/%=build/$@/%))

model:
	@docs/model/run.sh $(MODEL)

fuzz:
	@$(MAKE) SAN=fuzz CC=clang fuzz-built

fuzz-built: $(FUZZ)
	@scripts/run-fuzz.sh $(FUZZ_SECONDS) $(FUZZ)

# What the page of benchmarks is made of; SERVERS=mysql, BENCH=full, ROWS="copy4 mixed".
bench-deps: deps
	@scripts/install-deps.sh bench

bench: bench-deps
	@$(MAKE) build bench-tools
	@bench/run.sh $(ROWS)
	@bench/report.sh

bench-tools: $(BENCH_TOOLS)

demo: deps
	@$(MAKE) build tools
	@scripts/demo.sh $(SERVERS)

# --- the rest --------------------------------------------------------------------------------------------------------

# Both come from the table of options; written beside first, so that a failure leaves the old ones.
docs: build
	$(BIN) docs configuration >$(B)/configuration.md && mv $(B)/configuration.md docs/configuration.md
	$(BIN) docs man >$(B)/gfreplica.1 && mv $(B)/gfreplica.1 docs/gfreplica.1

install: build
	install -D -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/gfreplica
	$(foreach page,$(wildcard docs/*.1),install -D -m 644 $(page) $(DESTDIR)$(PREFIX)/share/man/man1/$(notdir $(page));)

format:
	clang-format -i $(ALL_C) $(ALL_H)

# The second compiler sees what the first does not; -O0 because only its front end is asked.
lint:
	clang-format --dry-run -Werror $(ALL_C) $(ALL_H)
	clang -fsyntax-only $(LANG_FLAGS) $(CPPFLAGS) $(PKG_CFLAGS) $(WARN) $(ALL_C)
	shellcheck scripts/*.sh bench/*.sh docs/model/run.sh .ci/run

# The downloaded servers (.cache) stay; distclean takes them too.
clean:
	rm -rf build

distclean: clean
	rm -rf .cache .run

-include $(shell find $(B)/src $(B)/tests -name '*.d' 2>/dev/null)
