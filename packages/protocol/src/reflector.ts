/**
 * UDP services that are abused as reflectors, by port (CISA TA14-017A): an answer from one must have been asked for. The kernel's
 * rules and their mirror in detection share this list. Ports that genuine clients send from (443, 500, 1194, 4500, 5060) are not
 * in it.
 */
export const REFLECTOR_PORTS: readonly number[] = [
  17, 19, 53, 69, 111, 123, 137, 161, 389, 427, 520, 1434, 1900, 3283, 3478, 3702, 5093, 5351, 5353, 5683, 10001, 11211,
  17185, 20800, 27015, 30718, 32414, 33848, 37810,
];
