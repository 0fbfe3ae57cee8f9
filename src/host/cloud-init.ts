/** What of cloud-init's configuration is read: a later file overrules an earlier one. */
export interface CloudConfig {
  file: string;
  text: string;
}

/**
 * Whether cloud-init writes the hosts file anew at each boot (its module `update_etc_hosts`), and what to do so that a line of ours
 * stays. The header of its templates says so, and `manage_etc_hosts` does; the value `localhost` only makes it add the host's own name.
 * @returns undefined where nothing says that it does
 */
export function rewrittenByCloudInit(
  hosts: string,
  configs: readonly CloudConfig[],
): { evidence: string; remedy: string } | undefined {
  const settings = configs.flatMap(({ file, text }) =>
    [...text.matchAll(/^manage_etc_hosts[ \t]*:[ \t]*['"]?([A-Za-z]+)/gm)].map(([, value = '']) => ({
      file,
      value,
    })),
  );
  const setting = settings.at(-1);
  const isOn = setting !== undefined && /^(true|yes|on|template)$/i.test(setting.value);
  const hasHeader = /^#.*manage_etc_hosts/im.test(hosts);
  if (!isOn && (setting !== undefined || !hasHeader)) return undefined;
  const template = /\/etc\/cloud\/templates\/hosts\.[\w.-]+\.tmpl/.exec(hosts)?.[0];
  return {
    evidence: isOn
      ? `cloud-init writes this file anew at each boot (manage_etc_hosts: ${setting.value} in ${setting.file})`
      : 'cloud-init writes this file anew at each boot (its header says so)',
    remedy: `Put "::1 localhost" into ${template ?? 'the hosts template in /etc/cloud/templates'} too, or set manage_etc_hosts: false in /etc/cloud/cloud.cfg.d.`,
  };
}
