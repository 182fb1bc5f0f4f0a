//! Each node's key pair is derived from the group's secret, so a pod needs no secret of its own.

use hkdf::Hkdf;
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// The key pair with which a node proves who it is to its peers.
pub struct Identity {
    private: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl Identity {
    /// Derives the key pair of replica `ordinal`: HKDF-SHA256 with salt `orrery/v1` and info
    /// `replica/<ordinal>/x25519`, clamped as X25519 does.
    pub fn derive(group_key: &[u8; 32], ordinal: u64) -> Self {
        let mut private = Zeroizing::new([0u8; 32]);
        Hkdf::<Sha256>::new(Some(b"orrery/v1"), group_key)
            .expand(format!("replica/{ordinal}/x25519").as_bytes(), private.as_mut())
            .expect("32 bytes are within the output limit of HKDF-SHA256");
        private[0] &= 248;
        private[31] &= 127;
        private[31] |= 64;
        let public = PublicKey::from(&StaticSecret::from(*private)).to_bytes();
        Identity { private, public }
    }

    pub fn private(&self) -> &[u8; 32] {
        &self.private
    }

    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", hex::encode(self.public))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_same_every_time_and_differs_by_ordinal_and_group() {
        let (one, other) = ([1u8; 32], [2u8; 32]);
        assert_eq!(Identity::derive(&one, 0).public(), Identity::derive(&one, 0).public());
        assert_ne!(Identity::derive(&one, 0).public(), Identity::derive(&one, 1).public());
        assert_ne!(Identity::derive(&one, 0).public(), Identity::derive(&other, 0).public());
    }

    #[test]
    fn matches_a_vector_made_with_another_implementation() {
        // node:crypto: hkdfSync("sha256", Buffer.alloc(32, 1), "orrery/v1", "replica/0/x25519", 32), then X25519.
        let identity = Identity::derive(&[1u8; 32], 0);
        assert_eq!(
            hex::encode(identity.public()),
            "bcebc97a33ecea0b40e8836dd914c9ba2bfd2c7197f569615a3c35907498566f"
        );
    }

    #[test]
    fn does_not_show_the_private_key() {
        let identity = Identity::derive(&[1u8; 32], 0);
        assert!(!format!("{identity:?}").contains(&hex::encode(identity.private())));
    }
}
