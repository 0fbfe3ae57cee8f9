import { networkOwnerContract } from '../support/contracts/network-owner.ts';

networkOwnerContract({
  owner: 'NetworkManager',
  kind: 'NetworkManager',
  folders: ['/etc/NetworkManager'],
});
