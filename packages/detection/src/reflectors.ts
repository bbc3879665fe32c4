import type { Vector } from "@flowtriq/protocol/vector";

/**
 * UDP services that answer strangers with more than they were asked, by port: what an unasked packet from that port most
 * likely is. Ordinary traffic comes from these ports too, so a port alone never convicts. The kernel's lane `host:reflected`
 * knows a shorter list, see REFLECTOR_PORTS. Sources: CISA alert TA14-017A and its updates, Shadowserver's list of accessible UDP services.
 */
export const REFLECTORS: ReadonlyMap<number, Vector> = new Map<number, Vector>([
  [17, "udp_amplification"], // quote of the day
  [19, "chargen_amplification"],
  [53, "dns_amplification"],
  [69, "udp_amplification"], // TFTP
  [111, "udp_amplification"], // portmap
  [123, "ntp_amplification"],
  [137, "udp_amplification"], // NetBIOS names
  [138, "udp_amplification"],
  [161, "snmp_amplification"],
  [177, "udp_amplification"], // XDMCP
  [389, "cldap_amplification"],
  [427, "udp_amplification"], // SLP
  [443, "udp_amplification"], // DTLS, QUIC
  [500, "ike_amplification"],
  [520, "udp_amplification"], // RIPv1
  [623, "udp_amplification"], // IPMI
  [1194, "openvpn_amplification"],
  [1434, "udp_amplification"], // MS SQL browser
  [1604, "udp_amplification"], // Citrix
  [1900, "ssdp_amplification"],
  [3283, "udp_amplification"], // Apple remote desktop
  [3389, "udp_amplification"], // RDP over UDP
  [3478, "udp_amplification"], // STUN
  [3702, "wsd_amplification"],
  [4500, "ike_amplification"],
  [5060, "udp_amplification"], // SIP
  [5093, "udp_amplification"], // Sentinel licences
  [5351, "udp_amplification"], // NAT-PMP
  [5353, "udp_amplification"], // mDNS
  [5683, "coap_amplification"],
  [6881, "udp_amplification"], // BitTorrent DHT
  [9987, "udp_amplification"], // TeamSpeak 3
  [10001, "udp_amplification"], // Ubiquiti discovery
  [10074, "udp_amplification"], // TP-240 "phone home"
  [11211, "memcached_amplification"],
  [17185, "udp_amplification"], // VxWorks debugger
  [20800, "udp_amplification"], // Call of Duty
  [26000, "udp_amplification"], // Quake
  [27015, "udp_amplification"], // Source engine
  [27960, "udp_amplification"], // Quake III
  [30120, "udp_amplification"], // FiveM
  [30718, "udp_amplification"], // Lantronix
  [32414, "udp_amplification"], // Plex
  [33848, "udp_amplification"], // Jenkins
  [37020, "udp_amplification"], // Hikvision SADP
  [37810, "udp_amplification"], // DHDiscover
  [41794, "udp_amplification"], // Crestron
  [47808, "udp_amplification"], // BACnet
]);
