package syscalls

var (
	execRows    []Row
	signalRows  []Row
	futexRows   []Row
	timeRows    []Row
	idRows      []Row
	schedRows   []Row
	miscRows    []Row
	processRows []Row
)
