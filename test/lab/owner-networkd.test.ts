import { networkOwnerContract } from '../support/contracts/network-owner.ts';

networkOwnerContract({
  owner: 'networkd',
  kind: 'systemd-networkd',
  folders: ['/etc/systemd/network'],
});
