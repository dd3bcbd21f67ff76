# moviebert: the extension (PGXS), the engine library it and the tool share, the tool, and their tests.
#
#   make                 extension and tool          make install         both, into this PostgreSQL
#   make check-unit      C unit tests                make installcheck    pg_regress on a running server
#   make check-tap       TAP tests on private servers (needs make install)
#   make fuzz            fuzz targets (clang)        make format          clang-format over the tree
#
# SAN=address,undefined builds the engine and unit tests with sanitizers, in a build folder of their own.

# Not VERSION: PGXS sets that to the version of PostgreSQL.
EXTENSION_VERSION := $(shell sed -n 's/^  "version": "\(.*\)",/\1/p' META.json)

BUILD ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))
comma := ,

# ---- the model that ships ------------------------------------------------------------------------------------------

# CREATE EXTENSION installs it as moviebert-VERSION.  Another file is another version, since a name never changes its
# weights; the library knows the hash, so that it takes no other file for it.  Without the file all is built but it.
SHIPPED_MODEL         = $(wildcard models/moviebert.safetensors)
SHIPPED_MODEL_VERSION = 1
SHIPPED_MODEL_SHA256 := $(if $(SHIPPED_MODEL),$(firstword $(shell sha256sum $(SHIPPED_MODEL))))

# ---- the extension -------------------------------------------------------------------------------------------------

MODULE_big = moviebert
EXTENSION  = moviebert
PG_OBJS    = $(patsubst %.c,%.o,$(sort $(wildcard src/pg/*.c)))
OBJS       = $(PG_OBJS)
DATA       = $(wildcard sql/moviebert--*--*.sql) $(SHIPPED_MODEL)
DATA_built = sql/moviebert--$(EXTENSION_VERSION).sql
EXTRA_CLEAN = build build-* moviebert moviebert.control sql/moviebert--$(EXTENSION_VERSION).sql

REGRESS      = $(patsubst sql/regress/%.sql,%,$(sort $(wildcard sql/regress/*.sql)))
REGRESS_OPTS = --inputdir=$(BUILD)/regress --outputdir=$(BUILD)/regress --load-extension=moviebert

ENGINE_LIB = $(BUILD)/libmoviebert.a
ENGINE_NEEDS = -lutf8proc -ljansson -lm

# No -fvisibility=hidden here: PGXS sets it where PG_FUNCTION_INFO_V1 exports what it declares, from PostgreSQL 16 on.
PG_CPPFLAGS = -Iinclude -DMOVIEBERT_VERSION='"$(EXTENSION_VERSION)"'
PG_CFLAGS   = -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -Wno-declaration-after-statement -Wno-clobbered
# jansson goes into the library, with its symbols hidden: see src/pg/jansson.c.
SHLIB_LINK  = $(ENGINE_LIB) -lutf8proc -l:libjansson.a -Wl,--exclude-libs,libjansson.a -Wl,--wrap=stdin -lm

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
# Inlining our seconds-long functions into query expressions with LLVM gains nothing.
override with_llvm := no
include $(PGXS)

# ---- the engine ----------------------------------------------------------------------------------------------------

ENGINE_CC     ?= $(CC)
ENGINE_WARN    = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes $(WERROR)
# No contraction of a*b+c behind our back: results do not depend on what the compiler fuses.
ENGINE_CFLAGS  = -std=c17 -D_POSIX_C_SOURCE=200809L -O2 -g -fPIC -fvisibility=hidden $(ENGINE_WARN) \
                 -ffp-contract=off $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer) -Iinclude
ENGINE_SRCS    = $(sort $(wildcard src/text/*.c src/model/*.c src/nn/*.c src/infer/*.c))
ENGINE_OBJS    = $(ENGINE_SRCS:%.c=$(BUILD)/%.o)

$(BUILD)/src/%.o: src/%.c
	@mkdir -p $(@D)
	$(ENGINE_CC) $(ENGINE_CFLAGS) -MMD -MP -c $< -o $@

$(ENGINE_LIB): $(ENGINE_OBJS)
	@rm -f $@
	$(AR) rcs $@ $^

$(shlib): $(ENGINE_LIB)
$(PG_OBJS): $(wildcard include/moviebert/*.h src/pg/*.h) META.json
src/pg/models.o: $(SHIPPED_MODEL) Makefile
src/pg/models.o: override CPPFLAGS += -DSHIPPED_MODEL_VERSION=$(SHIPPED_MODEL_VERSION) -DSHIPPED_MODEL_SHA256='"$(SHIPPED_MODEL_SHA256)"'

# ---- the tool ------------------------------------------------------------------------------------------------------

TOOL_SRCS   = $(sort $(wildcard training/*.c training/net/*.c))
TOOL_OBJS   = $(TOOL_SRCS:%.c=$(BUILD)/%.o)
TOOL_CFLAGS = $(ENGINE_CFLAGS) -DMOVIEBERT_VERSION='"$(EXTENSION_VERSION)"' -I$(shell $(PG_CONFIG) --includedir)
TOOL_LIBS   = $(ENGINE_LIB) -L$(shell $(PG_CONFIG) --libdir) -lpq -lopenblas -lcrypto $(ENGINE_NEEDS) -lpthread

$(BUILD)/training/%.o: training/%.c
	@mkdir -p $(@D)
	$(ENGINE_CC) $(TOOL_CFLAGS) -MMD -MP -c $< -o $@

# Loops over millions of numbers: to be vectorised, square roots included.  Neither flag changes a result.
$(BUILD)/training/net/adamw.o $(BUILD)/net-double/adamw.o: TOOL_CFLAGS += -O3 -fno-math-errno

# All of the tool but its main: the unit tests take from it what they test.
TOOL_LIB = $(BUILD)/libtool.a
$(TOOL_LIB): $(filter-out $(BUILD)/training/main.o,$(TOOL_OBJS))
	@rm -f $@
	$(AR) rcs $@ $^

# training/net once more in double precision, for the tests that compare gradients with differences.
NET_DOUBLE_LIB  = $(BUILD)/libnet-double.a
NET_DOUBLE_OBJS = $(patsubst training/net/%.c,$(BUILD)/net-double/%.o,$(filter training/net/%,$(TOOL_SRCS)))

$(BUILD)/net-double/%.o: training/net/%.c
	@mkdir -p $(@D)
	$(ENGINE_CC) $(TOOL_CFLAGS) -DNET_DOUBLE -MMD -MP -c $< -o $@

$(NET_DOUBLE_LIB): $(NET_DOUBLE_OBJS)
	@rm -f $@
	$(AR) rcs $@ $^

moviebert: $(TOOL_OBJS) $(ENGINE_LIB)
	$(ENGINE_CC) $(ENGINE_CFLAGS) -o $@ $(TOOL_OBJS) $(TOOL_LIBS)

all: moviebert

install: install-tool
.PHONY: install-tool
install-tool: moviebert
	$(MKDIR_P) '$(DESTDIR)$(bindir)'
	$(INSTALL_PROGRAM) moviebert '$(DESTDIR)$(bindir)/moviebert'

uninstall: uninstall-tool
.PHONY: uninstall-tool
uninstall-tool:
	rm -f '$(DESTDIR)$(bindir)/moviebert'

# ---- generated files -----------------------------------------------------------------------------------------------

sql/moviebert--$(EXTENSION_VERSION).sql: sql/moviebert.sql META.json
	cp $< $@

moviebert.control: moviebert.control.in META.json
	sed 's/@VERSION@/$(EXTENSION_VERSION)/' $< > $@

all: moviebert.control

# ---- tests ---------------------------------------------------------------------------------------------------------

# pg_regress wants sql/ and expected/ side by side; ours live in sql/regress and expected/.
# The tests read files of this tree; the server must be able to.
installcheck: export MOVIEBERT_TREE ?= $(CURDIR)
installcheck: regress-dir
.PHONY: regress-dir
regress-dir:
	@mkdir -p $(BUILD)/regress
	@ln -sfn $(CURDIR)/sql/regress $(BUILD)/regress/sql
	@ln -sfn $(CURDIR)/expected $(BUILD)/regress/expected

UNIT_SRCS = $(sort $(wildcard test/unit/test_*.c))
UNIT_BINS = $(UNIT_SRCS:test/unit/%.c=$(BUILD)/test/%)
UNIT_HELP = $(sort $(filter-out $(UNIT_SRCS),$(wildcard test/unit/*.c)))

$(BUILD)/test/%: test/unit/%.c $(UNIT_HELP) $(TOOL_LIB) $(ENGINE_LIB)
	@mkdir -p $(@D)
	$(ENGINE_CC) $(TOOL_CFLAGS) -Wno-conversion -I. -MMD -MP -MF $@.d $(UNIT_DOUBLE) $< $(UNIT_HELP) $(UNIT_NET) $(TOOL_LIB) -o $@ -lcmocka $(TOOL_LIBS)

# What these find in the double archive, the linker does not take from the tool's.
UNIT_OF_DOUBLES = $(BUILD)/test/test_net_gradients $(BUILD)/test/test_net_gradients_whole
$(UNIT_OF_DOUBLES): $(NET_DOUBLE_LIB)
$(UNIT_OF_DOUBLES): UNIT_DOUBLE = -DNET_DOUBLE
$(UNIT_OF_DOUBLES): UNIT_NET = $(NET_DOUBLE_LIB)

.PHONY: unit-tests check-unit check-tap fuzz format
unit-tests: $(UNIT_BINS)

check-unit: unit-tests
	@status=0; for t in $(UNIT_BINS); do echo "== $$t"; $(RUN) $$t || status=1; done; exit $$status

check-tap:
	PG_CONFIG=$(PG_CONFIG) PERL5LIB=$(CURDIR)/test/perl:$(shell $(PG_CONFIG) --pkglibdir)/pgxs/src/test/perl prove -v test/t/*.pl

FUZZ_CC   ?= clang
FUZZ_SRCS  = $(sort $(wildcard test/fuzz/fuzz_*.c))
FUZZ_BINS  = $(FUZZ_SRCS:test/fuzz/%.c=$(BUILD)-fuzz/%)

fuzz: $(FUZZ_BINS)

$(BUILD)-fuzz/%: test/fuzz/%.c $(ENGINE_SRCS)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(ENGINE_CFLAGS) -Wno-missing-prototypes -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined $< $(ENGINE_SRCS) -o $@ $(ENGINE_NEEDS)

format:
	clang-format -i $(shell git ls-files '*.c' '*.h')

-include $(ENGINE_OBJS:.o=.d) $(TOOL_OBJS:.o=.d) $(NET_DOUBLE_OBJS:.o=.d) $(wildcard $(BUILD)/test/*.d)
