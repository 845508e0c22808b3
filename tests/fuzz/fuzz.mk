# Builds the fuzz targets with clang and libFuzzer; see `make fuzz`. Apart from the other build, which
# may use any compiler: here everything of our own is compiled with coverage and sanitizers. GNU make.
#
# Wanted: SRC, the top of the sources; TARGETS; the SOURCES and FLAGS that Makefile.am passes.
FUZZ_CC = clang
SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
COMPILE = $(FUZZ_CC) -std=gnu11 -D_GNU_SOURCE -pthread -g -O1 -I$(SRC) $(FLAGS) $(SANITIZE) \
	-fsanitize=fuzzer-no-link -MMD -MP

all: $(TARGETS:%=fuzz-%)

objects = $(patsubst %.c,%.o,$(filter %.c,$(1)))

vpath %.c $(SRC)
%.o: %.c
	@mkdir -p $(@D)
	@echo '  FUZZ-CC  $*.o'
	@$(COMPILE) -c -o $@ $<

# An archive each: two programs may have a settings.c. Only what a target uses is linked.
lib%.a:
	@rm -f $@
	@$(AR) cr $@ $^
libfcgid.a: $(call objects,$(FCGID_SOURCES))
libingest.a: $(call objects,$(INGEST_SOURCES))
libhttp.a: $(call objects,$(HTTP_SOURCES))
libstream.a: $(call objects,$(STREAM_SOURCES))
libbase.a: $(call objects,$(BASE_SOURCES))

fuzz-%: tests/fuzz/%.o tests/fuzz/fuzz.o tests/fuzz/hs256.o tests/fuzz/plain_json.o libingest.a libfcgid.a libhttp.a libstream.a libbase.a
	@echo '  FUZZ-LD  $@'
	@$(FUZZ_CC) -pthread $(SANITIZE) -fsanitize=fuzzer -o $@ $< tests/fuzz/fuzz.o tests/fuzz/hs256.o \
	    tests/fuzz/plain_json.o $(if $(filter config,$*),libfcgid.a libingest.a,libingest.a libfcgid.a) libhttp.a libstream.a libbase.a $(LIBS)

-include $(shell find . -name '*.d')
.PRECIOUS: %.o
.PHONY: all
