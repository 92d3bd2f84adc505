//! Kafka's default partitioner, so that JVM and Rust applications put equal keys on equal partitions.

/// `(murmur2(bytes) & 0x7fffffff) % partitions`.
pub(crate) fn partition_for(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key).cast_unsigned() & 0x7fff_ffff) % partitions.max(1)
}

/// murmur2 as Kafka computes it (seed `0x9747b28c`).
pub(crate) fn murmur2(bytes: &[u8]) -> i32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c_u32 ^ bytes.len() as u32;
    let (words, tail) = bytes.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    for (at, byte) in tail.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * at);
    }
    if !tail.is_empty() {
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    (hash ^ (hash >> 15)).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_is_kafkas() {
        for (key, hash, of_12) in [
            ("", 275_646_681, 9),
            ("a", -1_563_381_124, 0),
            ("EURUSD", -1_853_376_939, 5),
            ("BTC-USD", 306_568_041, 9),
            ("AAPL", 1_691_292_177, 9),
            ("€", -1_352_192_002, 10),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
            if key.len() > 1 {
                assert_eq!(partition_for(key.as_bytes(), 12), of_12, "{key}");
            }
        }
    }
}
