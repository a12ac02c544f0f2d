# Targets: all (bin/runsc), run, test, cases, conformance, engines,
# validation, bench, clean.
# BUILD.md explains them; test/README.md explains the tests.

GO ?= go
export CGO_ENABLED := 0
RUNSC := bin/runsc
UNIT = $(shell $(GO) list ./... | grep -v -E '/test/(run|hostile|images|conform|bench|engines|fuzz)(/|$$)')

.PHONY: all run test unit cases fuzz hostile images conformance engines validation bench clean vet

all:
	@mkdir -p bin
	$(GO) build -trimpath -o $(RUNSC) ./runsc

# Shows that a program sees our kernel and that its writes stay inside.
run: all
	$(RUNSC) do uname -a
	$(RUNSC) do ps -ef
	$(RUNSC) do sh -c 'echo written > /var/tmp/redoubt-was-here; cat /var/tmp/redoubt-was-here'
	@test ! -e /var/tmp/redoubt-was-here && echo "the host has no /var/tmp/redoubt-was-here: the write stayed in the sandbox"

test: all
	test/install-deps
	$(MAKE) --no-print-directory vet
	$(MAKE) --no-print-directory unit
	$(MAKE) --no-print-directory cases
	$(MAKE) --no-print-directory hostile
	$(MAKE) --no-print-directory fuzz
	$(MAKE) --no-print-directory images

vet:
	$(GO) vet ./...

unit:
	$(GO) test -timeout 300s $(UNIT)

cases:
	$(GO) test -count=1 -timeout 300s ./test/run

# Whole system-call behaviour, native and sandbox legs compared.
fuzz:
	$(GO) test -count=1 -timeout 200s ./test/fuzz

# Programs that attack the sandbox from inside, and a look at it from the host.
hostile:
	$(GO) test -count=1 -timeout 400s ./test/hostile

images:
	$(GO) test -count=1 -timeout 420s ./test/images

# Outside suites, in slices, each run natively and in the sandbox; only differences count.
conformance: all
	test/install-deps stress-ng libpython3.11-testsuite
	$(GO) test -count=1 -v -timeout 3600s -tags conform ./test/conform

engines: all
	test/install-deps docker.io containerd podman runc busybox-static iproute2 iptables
	$(GO) run ./test/engines

# The OCI's own checks, with runc for comparison.
validation: all
	test/engines/validation.sh $(RUNSC)

bench: all
	$(GO) run ./test/bench -runsc $(RUNSC)

clean:
	rm -rf bin test/out
