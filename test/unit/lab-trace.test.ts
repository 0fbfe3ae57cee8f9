import { describe, expect, it, test } from 'vitest';
import { judgedCalls, pathsChanged, programOf } from '../support/lab/trace.ts';

/** Lines as strace 6.1 writes them with the options of `traceUnit`: 500 is the daemon with the thread 501, 400 the systemd of its host. */
const text = `500  openat(AT_FDCWD</>, "/etc/hosts", O_RDONLY|O_CLOEXEC) = 17</etc/hosts>
501  openat(AT_FDCWD</>, "/var/lib/rlnet/plans/.a.tmp", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600 <unfinished ...>
500  clone(child_stack=NULL, flags=SIGCHLD) = 77 /* 510 in strace's PID NS */
501  <... openat resumed>)              = 18</var/lib/rlnet/plans/.a.tmp>
501  rename("/var/lib/rlnet/plans/.a.tmp", "/var/lib/rlnet/plans/a.json") = 0
510  execve("/usr/sbin/ip", ["ip", "-j", "-d", "addr"], 0x7ffd /* 3 vars */) = 0
510  openat(AT_FDCWD</>, "/tmp/of a child", O_WRONLY|O_CREAT, 0666) = 3</tmp/of a child>
400  mkdir("/sys/fs/cgroup/system.slice/rlnet-run-1.service", 0755) = 0
400  clone(child_stack=NULL, flags=SIGCHLD) = 90 /* 520 in strace's PID NS */
520  openat(AT_FDCWD</>, "/proc/self/oom_score_adj", O_WRONLY|O_CLOEXEC) = 4</proc/90/oom_score_adj>
520  execve("/opt/redislabs/bin/rladmin", ["/opt/redislabs/bin/rladmin", "status", "nodes"], 0x7ffd /* 3 vars */) = 0
520  clone3({flags=CLONE_VM|CLONE_THREAD}, 88) = 91 /* 521 in strace's PID NS */
521  unlinkat(5</var/opt>, "x", 0)         = -1 ENOENT (No such file or directory)
521  fchmod(6</var/opt/y>, 0600)           = 0
`;

describe('what strace saw', () => {
  const changed = (own?: Set<number>) => judgedCalls(text, own).flatMap(pathsChanged);

  it('is judged of a daemon and its threads, of its children, and of what systemd starts once it is that program', () => {
    expect(changed(new Set([500, 501]))).toEqual([
      '/var/lib/rlnet/plans/.a.tmp',
      '/var/lib/rlnet/plans/.a.tmp',
      '/var/lib/rlnet/plans/a.json',
      '/tmp/of a child',
      '/var/opt/x',
      '/var/opt/y',
    ]);
  });

  it('is judged whole where nothing is said of whose it is', () => {
    expect(changed()).toContain('/sys/fs/cgroup/system.slice/rlnet-run-1.service');
    expect(changed()).not.toContain('/etc/hosts');
  });

  test('has the programs that were started, with their words', () => {
    const programs = judgedCalls(text, new Set([500, 501])).flatMap((call) => {
      const words = programOf(call);
      return words === undefined ? [] : [words];
    });
    expect(programs).toEqual([
      ['ip', '-j', '-d', 'addr'],
      ['/opt/redislabs/bin/rladmin', 'status', 'nodes'],
    ]);
  });
});
