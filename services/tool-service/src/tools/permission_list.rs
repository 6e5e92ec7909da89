//! Permissions by name, as arguments have them, and by bits, as the exact form has them.

use twilight_model::guild::Permissions;

use crate::domain::text;
use crate::{domain::permissions, resolve::Problem};

/// Reads a list of names.
pub(super) fn read(names: &[String]) -> Result<Permissions, Problem> {
    names.iter().try_fold(Permissions::empty(), |all, name| {
        let bit = permissions::named(name).ok_or_else(|| {
            Problem::unclear(format!(
                "There is no permission with the name “{}”. Use Discord's names, such as \
                 SEND_MESSAGES.",
                text::name(name)
            ))
        })?;
        Ok(all | bit)
    })
}

/// As a string of digits, which JSON keeps.
pub(super) mod bits {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use twilight_model::guild::Permissions;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(crate) fn serialize<S: Serializer>(
        permissions: &Permissions,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&permissions.bits())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Permissions, D::Error> {
        let bits = String::deserialize(deserializer)?;
        bits.parse().map(Permissions::from_bits_retain).map_err(Error::custom)
    }
}

pub(super) mod optional {
    use serde::{Deserialize, Deserializer, Serializer};
    use twilight_model::guild::Permissions;

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(crate) fn serialize<S: Serializer>(
        permissions: &Option<Permissions>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match permissions {
            Some(permissions) => super::bits::serialize(permissions, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Permissions>, D::Error> {
        #[derive(Deserialize)]
        struct Bits(#[serde(with = "super::bits")] Permissions);
        Ok(Option::<Bits>::deserialize(deserializer)?.map(|Bits(permissions)| permissions))
    }
}
