import { describe, expect, it, test } from 'vitest';
import { rewrittenByCloudInit } from '../../../src/host/cloud-init.ts';

/** The head of cloud-init's hosts.debian.tmpl, as it comes to stand in /etc/hosts. */
const header = `# Your system has configured 'manage_etc_hosts' as True.
# As a result, if you wish for changes to this file to persist
# then you will need to either
# a.) make changes to the master file in /etc/cloud/templates/hosts.debian.tmpl
# b.) change or remove the value of 'manage_etc_hosts' in
#     /etc/cloud/cloud.cfg or cloud-config from user-data
#
127.0.0.1 localhost
`;
const plain = '127.0.0.1 localhost\n';
const configs = (...texts: string[]) =>
  texts.map((text, index) => ({ file: `/etc/cloud/${index}.cfg`, text }));

describe('cloud-init writes the hosts file anew', () => {
  test.for([
    ['nothing says so', plain, [], false],
    ['the header says so', header, [], true],
    ['the configuration says so', plain, ['manage_etc_hosts: true\n'], true],
    ['it says template', plain, ["preserve_hostname: false\nmanage_etc_hosts : 'template'\n"], true],
    ['it keeps the own name up to date and nothing else', plain, ['manage_etc_hosts: localhost\n'], false],
    [
      'it was told not to later',
      header,
      ['manage_etc_hosts: true\n', 'manage_etc_hosts: False # ours\n'],
      false,
    ],
    ['it was told to later', plain, ['manage_etc_hosts: false\n', 'manage_etc_hosts: True\n'], true],
    ['the setting is a comment', plain, ['#manage_etc_hosts: true\n'], false],
    ['the setting is somewhere else', plain, ['other:\n  manage_etc_hosts: true\n'], false],
  ] as const)('%s', ([, hosts, texts, rewritten]) => {
    expect(rewrittenByCloudInit(hosts, configs(...texts)) !== undefined).toBe(rewritten);
  });

  it('is said with the evidence, and with the template to put the line into', () => {
    expect(rewrittenByCloudInit(header, [])).toEqual({
      evidence: expect.stringContaining('header'),
      remedy: expect.stringContaining('into /etc/cloud/templates/hosts.debian.tmpl too'),
    });
    expect(rewrittenByCloudInit(plain, configs('', 'manage_etc_hosts: yes'))?.evidence).toContain(
      'manage_etc_hosts: yes in /etc/cloud/1.cfg',
    );
  });
});
