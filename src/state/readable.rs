//! How a program reads a store that is not its own: which types it holds, and how its bytes become them. Known from the
//! topology alone, so that a wrong name or type is found before anybody is asked.

use crate::error::BoxError;
use crate::serdes::{Codec, Key, WindowForm, short, windowed};
use crate::time::Windowed;
use std::any::Any;
use std::sync::Arc;

/// From a raw value to what the store shows; `None`: nothing that shows.
pub(crate) type Show<V> = Arc<dyn Fn(&[u8]) -> Result<Option<V>, BoxError> + Send + Sync>;

/// A store of keys.
pub(crate) struct KeyValueForm<K, V> {
    pub(crate) key: Arc<dyn Codec<K>>,
    pub(crate) value: Show<V>,
}

/// A store of keys and windows.
pub(crate) struct WindowedForm<K, V> {
    pub(crate) key: Arc<dyn Codec<K>>,
    pub(crate) windowed: Arc<dyn Codec<Windowed<K>>>,
    /// Bytes behind those of the key.
    pub(crate) suffix: usize,
    pub(crate) value: Show<V>,
}

impl<K, V> Clone for KeyValueForm<K, V> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), value: self.value.clone() }
    }
}

impl<K, V> Clone for WindowedForm<K, V> {
    fn clone(&self) -> Self {
        let Self { key, windowed, suffix, value } = self;
        Self { key: key.clone(), windowed: windowed.clone(), suffix: *suffix, value: value.clone() }
    }
}

/// Either of them, whatever its types.
pub(crate) struct Readable {
    pub(crate) form: Box<dyn Any + Send + Sync>,
    /// In words.
    pub(crate) holds: String,
    /// Whether each key is in the partition of its bytes, as Kafka's default partitioner has it.
    pub(crate) by_partition: bool,
}

impl Readable {
    pub(crate) fn key_value<K: 'static, V: 'static>(key: Arc<dyn Codec<K>>, value: Show<V>) -> Self {
        let form = Box::new(KeyValueForm { key, value });
        Self { form, holds: key_value_words::<K, V>(), by_partition: true }
    }

    pub(crate) fn windowed<K: Key, V: 'static>(
        key: Arc<dyn Codec<K>>,
        form: WindowForm,
        value: Show<V>,
    ) -> Self {
        let windowed = windowed(key.clone(), form);
        let form = Box::new(WindowedForm { key, windowed, suffix: form.len(), value });
        Self { form, holds: window_words::<K, V>(), by_partition: true }
    }

    /// Its keys are whatever a processor chose.
    pub(crate) fn anywhere(self) -> Self {
        Self { by_partition: false, ..self }
    }
}

/// What is stored is what is shown.
pub(crate) fn as_it_is<V: 'static>(value: Arc<dyn Codec<V>>) -> Show<V> {
    shown(value, Some)
}

/// A part of what is stored is shown.
pub(crate) fn shown<S: 'static, V: 'static>(stored: Arc<dyn Codec<S>>, show: fn(S) -> Option<V>) -> Show<V> {
    Arc::new(move |bytes| stored.read(Some(bytes)).map(show))
}

pub(crate) fn key_value_words<K, V>() -> String {
    format!("a key-value store of `{}` and `{}`", short::<K>(), short::<V>())
}

pub(crate) fn window_words<K, V>() -> String {
    format!("a window store of `{}` and `{}`", short::<K>(), short::<V>())
}
