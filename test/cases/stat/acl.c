// POSIX access control lists through xattrs.
#include "../case.h"
#include <sys/xattr.h>

int main(void) {
	struct {
		uint32_t v;
		struct {
			uint16_t tag, perm;
			uint32_t id;
		} e[5];
	} acl = {2, {{1, 6, -1}, {2, 4, 1000}, {4, 0, -1}, {16, 4, -1}, {32, 0, -1}}};
	MUST(chmod(".", 0755));
	MUST(mkfile("f", "x", 0600));
	int r = setxattr("f", "system.posix_acl_access", &acl, sizeof acl, 0);
	if (r == -1 && errno == EOPNOTSUPP) {
		SAY("no ACLs on this file system");
		return 0;
	}
	SAY("set");
	struct stat s;
	stat("f", &s);
	SAY("%04o", s.st_mode & 07777);
	RUN({
		setresuid(1000, 1000, 1000);
		OK(open("f", O_RDONLY));
		OK(open("f", O_WRONLY));
	});
	RUN({
		setresuid(1001, 1001, 1001);
		OK(open("f", O_RDONLY));
	});
	VAL(getxattr("f", "system.posix_acl_access", &acl, sizeof acl));
	OK(chmod("f", 0600));
	RUN({
		setresuid(1000, 1000, 1000);
		OK(open("f", O_RDONLY));
	});
	OK(removexattr("f", "system.posix_acl_access"));
	return 0;
}
