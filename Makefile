# make            build/h2cgi, build/h2cgi-run, the demo applications; installs nothing
# make run        install what the build needs, build, show the demo site
# make check      unit, system, and what starts threads under TSan; three minutes
# make test       install what the tests need, run everything, with both sanitizers
# make lint       GCC and Clang with warnings as errors, clang-tidy, pyflakes
# make fuzz       the fuzz targets (scripts/fuzz runs them and says what they reached)
# make format     clang-format, in place
# make install    PREFIX=/usr/local, DESTDIR=
#
# SAN=address,undefined and SAN=thread build the same into build-asan and build-tsan.
# V=1 shows the commands.

SHELL := /bin/bash
V =
# In front of a command: its short form, and not the command itself.
say = $(if $(V),,@echo '  $(1) $@';)
PREFIX ?= /usr/local
CC = gcc
SAN =
WERROR =
B = build$(if $(findstring fuzzer,$(SAN)),-fuzz,$(if $(findstring thread,$(SAN)),-tsan,$(if $(SAN),-asan)))

WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	-Wcast-qual -Wwrite-strings -Wvla -Wformat=2 -Wundef -Wnull-dereference \
	-Wimplicit-fallthrough $(if $(findstring clang,$(CC)),-Wthread-safety)
# Fortify hides what the sanitizers want to see, so only the plain build has it.
OPT := $(if $(SAN),-O1 -fno-omit-frame-pointer -fno-sanitize-recover=all -fsanitize=$(SAN), \
	-O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2)
# GCC warns that TSan does not see fences; there is none that orders plain data.
TSAN_WARN := $(if $(findstring thread,$(SAN)),$(if $(findstring clang,$(CC)),,-Wno-tsan))
CFLAGS ?= -g
ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE -pthread $(OPT) $(CFLAGS) $(PCRE2_CFLAGS) $(WARN) $(TSAN_WARN) $(WERROR)
ALL_LDFLAGS = -pthread $(if $(SAN),-fsanitize=$(SAN)) -Wl,--as-needed,-z,relro,-z,now $(LDFLAGS)
# What the system tests start a thousand times starts and ends twice as fast with GCC's runtime
# inside; clang's always is.
SAN_LDFLAGS := $(if $(findstring address,$(SAN)),$(if $(findstring clang,$(CC)),,-static-libasan -static-libubsan))
# --as-needed leaves each program with what it uses.
# libasan has a crypt_r of its own, which --as-needed would take for the whole of libcrypt.
PCRE2_CFLAGS := $(shell pkg-config --cflags libpcre2-8)
PCRE2_LIBS := $(or $(shell pkg-config --libs libpcre2-8),-lpcre2-8)
CODEC_LIBS := $(or $(shell pkg-config --libs zlib libbrotlienc libzstd),-lz -lbrotlienc -lzstd)
LIBS := -lnghttp2 -lssl -lcrypto -Wl,--no-as-needed -lcrypt -Wl,--as-needed -lfcgi -lcares \
	$(PCRE2_LIBS) $(CODEC_LIBS) -lm
TEST_LIBS := -lcmocka -lbrotlidec
# There are many unit programs, each run once: what makes them soon is worth more than what
# makes them fast.  (-O0 halves their compiling, gold their linking.)
TEST_CFLAGS = -O0 -U_FORTIFY_SOURCE
TEST_LDFLAGS := $(if $(shell command -v ld.gold),-fuse-ld=gold)

SRC := $(wildcard gateway/*.c conf/*.c fcgi/*.c)
# Everything but the two main functions; a program takes the objects it needs from it.
LIB_SRC := $(filter-out gateway/main.c fcgi/runner.c,$(SRC))
APP_SRC := $(wildcard fcgi/apps/*.c)
APP_MAIN := $(filter-out fcgi/apps/app.c,$(APP_SRC))
UNIT_SRC := $(wildcard tests/unit/test_*.c)
# The sources of Debian's node-llhttp, which one fuzz target compares with ours.
LLHTTP := /usr/share/llhttp
NO_LLHTTP := $(if $(wildcard $(LLHTTP)/llhttp.c),,tests/fuzz/fuzz_llhttp.c)
FUZZ_SRC := $(filter-out $(NO_LLHTTP),$(wildcard tests/fuzz/fuzz_*.c))
FORMATTED := $(wildcard gateway/*.[ch] conf/*.[ch] fcgi/*.[ch] fcgi/apps/*.[ch] \
	tests/unit/*.[ch] tests/fuzz/*.[ch] tests/bench/*.[ch] tests/peers/*.[ch])

objects = $(patsubst %.c,$(B)/obj/%.o,$(1))
APPS := $(patsubst fcgi/apps/%.c,$(B)/apps/%,$(APP_MAIN))
UNIT := $(patsubst tests/unit/%.c,$(B)/tests/%,$(UNIT_SRC))
FUZZ := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(FUZZ_SRC))
REPLAY := $(patsubst tests/fuzz/%.c,$(B)/replay/%,$(FUZZ_SRC))
BENCH := $(patsubst tests/bench/%.c,$(B)/bench/%,$(wildcard tests/bench/*.c))
PEERS := $(patsubst tests/peers/%.c,$(B)/peers/%,$(wildcard tests/peers/*.c)) \
	$(patsubst tests/peers/%.go,$(B)/peers/%,$(wildcard tests/peers/*.go)) \
	$(filter %h1parse %h1chunk %llhttp,$(REPLAY))
# Without modules: the standard library alone, and nothing is fetched.
GO = GO111MODULE=off GOPATH=$(CURDIR)/build/go GOCACHE=$(CURDIR)/build/go/cache go

.PHONY: all apps tests peers unit-objects bench bench-apps run check test lint tidy format format-check fuzz \
	fuzz-targets install clean
.DELETE_ON_ERROR:
.SECONDARY:

all: $(B)/h2cgi $(B)/h2cgi-run apps

apps: $(APPS)

# What scripts/check runs.
tests: all peers $(UNIT) $(REPLAY)
	$(if $(NO_LLHTTP),@echo 'fuzz_llhttp left out: node-llhttp is not installed')

# Backends and clients of the system tests, and the fuzz targets that they run.
peers: $(PEERS)

bench: all $(BENCH)

# What runs behind the servers that scripts/bench measures.
bench-apps: apps $(B)/peers/mpx

$(B)/h2cgi: $(B)/obj/gateway/main.o $(B)/libh2cgi.a
	$(call say,LD)$(CC) $(ALL_LDFLAGS) $(SAN_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/h2cgi-run: $(B)/obj/fcgi/runner.o $(B)/libh2cgi.a
	$(call say,LD)$(CC) $(ALL_LDFLAGS) $(SAN_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/libh2cgi.a: $(call objects,$(LIB_SRC))
	@rm -f $@
	$(call say,AR)ar rcs $@ $^

$(B)/libapp.a: $(B)/obj/fcgi/apps/app.o
	$(call say,AR)ar rcs $@ $^

$(B)/apps/%: $(B)/obj/fcgi/apps/%.o $(B)/libapp.a
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(ALL_LDFLAGS) $(SAN_LDFLAGS) -o $@ $^ -lfcgi -lcrypto

$(B)/tests/%: $(B)/obj/tests/unit/%.o $(B)/libh2cgi.a
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(ALL_LDFLAGS) $(TEST_LDFLAGS) -o $@ $^ $(LIBS) $(TEST_LIBS)

$(B)/fuzz/%: $(B)/obj/tests/fuzz/%.o $(B)/libh2cgi.a
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(subst fuzzer-no-link,fuzzer,$(ALL_LDFLAGS)) -o $@ $^ $(LIBS)

# The same target over kept inputs, with any compiler.
$(B)/replay/%: $(B)/obj/tests/fuzz/%.o $(B)/obj/tests/fuzz/replay.o $(B)/libh2cgi.a
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(ALL_LDFLAGS) $(TEST_LDFLAGS) -o $@ $^ $(LIBS)

LLHTTP_OBJ := $(patsubst %,$(B)/obj/llhttp/%.o,api http llhttp)
$(B)/fuzz/fuzz_llhttp $(B)/replay/fuzz_llhttp: $(LLHTTP_OBJ)
$(B)/obj/tests/fuzz/fuzz_llhttp.o: private CFLAGS += -isystem /usr/share/include/llhttp

$(B)/obj/llhttp/%.o: $(LLHTTP)/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(ALL_CFLAGS) -w -DLLHTTP_STRICT_MODE=1 -I/usr/share/include/llhttp -c -o $@ $<

$(B)/bench/%: $(B)/obj/tests/bench/%.o
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/peers/%: $(B)/obj/tests/peers/%.o
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/peers/%: tests/peers/%.go
	@mkdir -p $(@D)
	$(call say,GO)$(GO) build -o $@ $<

$(B)/obj/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The compiler does not know that cmocka's assertions do not return.
$(B)/obj/tests/%.o: private WARN += -Wno-null-dereference
$(B)/obj/tests/unit/%.o: private ALL_CFLAGS += $(TEST_CFLAGS)

# Changes only when the compiler or its flags do, and then everything is built again.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS) $(TEST_CFLAGS) $(ALL_LDFLAGS)' | cmp -s - $@ || \
		echo '$(CC) $(ALL_CFLAGS) $(TEST_CFLAGS) $(ALL_LDFLAGS)' >$@
.PHONY: FORCE # without it .SECONDARY takes it for a file that need not be there
FORCE:

-include $(patsubst %.o,%.d,$(call objects,$(SRC) $(APP_SRC) $(UNIT_SRC) $(FUZZ_SRC) tests/fuzz/replay.c))

run:
	scripts/deps build
	+$(MAKE) all
	scripts/run

check:
	+scripts/check $(if $(SAN),--san $(SAN))

test:
	scripts/deps test
	+scripts/check --all

lint:
	+$(MAKE) B=build-lint/gcc CC=gcc WERROR=-Werror TEST_CFLAGS= unit-objects
	+$(MAKE) B=build-lint/clang CC=clang WERROR=-Werror TEST_CFLAGS= unit-objects tidy format-check
	/usr/bin/python3 tests/flakes.py

unit-objects: $(call objects,$(SRC) $(APP_SRC) $(UNIT_SRC) $(FUZZ_SRC) tests/fuzz/replay.c)

# A file is looked at again when its object was: the object knows the headers.
tidy: $(patsubst %.c,$(B)/tidy/%,$(SRC) $(APP_SRC))

$(B)/tidy/%: $(B)/obj/%.o .clang-tidy
	@mkdir -p $(@D)
	$(call say,TIDY)clang-tidy --quiet --warnings-as-errors='*' $*.c -- $(filter-out -W%,$(ALL_CFLAGS)) \
		2>&1 | grep -v -e 'warnings generated' -e '^Suppressed ' -e '^Use -header-filter' ; \
		test $${PIPESTATUS[0]} -eq 0
	@touch $@

format:
	$(call say,clang-format)clang-format -i $(FORMATTED)

format-check:
	$(call say,clang-format)clang-format --dry-run -Werror $(FORMATTED)

fuzz:
	+$(MAKE) CC=clang SAN=fuzzer-no-link,address,undefined fuzz-targets

fuzz-targets: $(FUZZ)
	$(if $(NO_LLHTTP),@echo 'fuzz_llhttp left out: node-llhttp is not installed')

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/doc/h2cgi
	install -m 755 $(B)/h2cgi $(B)/h2cgi-run $(DESTDIR)$(PREFIX)/bin
	install -m 644 README.md LICENSE $(wildcard conf/*.ini) $(DESTDIR)$(PREFIX)/share/doc/h2cgi

clean:
	rm -rf build build-asan build-tsan build-fuzz build-lint
