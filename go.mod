module redoubt.dev/redoubt

go 1.26.3

require (
	github.com/google/btree v1.1.3
	github.com/hugelgupf/p9 v0.4.0
	github.com/opencontainers/runtime-spec v1.3.0
	golang.org/x/sys v0.50.0
	gvisor.dev/gvisor v0.0.0-20260905035102-160fafc42237
)

require (
	github.com/u-root/uio v0.0.0-20230305220412-3e8cd9d6bf63 // indirect
	golang.org/x/exp v0.0.0-20250711185948-6ae5c78190dc // indirect
	golang.org/x/time v0.15.0 // indirect
)
