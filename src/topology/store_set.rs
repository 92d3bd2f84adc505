//! Stores of processors in a topology: a handle names one with its type, a set of handles connects them to a processor.

use crate::error::{Error, Result};
use crate::state::{Attached, StateStore};
use std::any::Any;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

/// Names a store of the topology it was added to, with its type. A processor gets the store itself.
pub struct StoreHandle<S> {
    pub(super) connection: Connection,
    pub(super) of: PhantomData<fn() -> S>,
}

impl<S> Clone for StoreHandle<S> {
    fn clone(&self) -> Self {
        Self { connection: self.connection.clone(), of: PhantomData }
    }
}

/// What a processor is connected to: nothing, `&handle`, or a tuple of up to four. It is given the stores in the same
/// shape, and has no other way to a store.
pub trait StoreSet: sealed::Connect {
    /// The stores.
    type Opened;
    /// Opens them in a task. Not called by users.
    #[doc(hidden)]
    fn opener(self) -> Box<Open<Self::Opened>>;
}

pub(crate) use sealed::{Connection, Open, Opening};

/// Public only as far as the compiler asks for it: nobody outside can name what is in here.
pub(crate) mod sealed {
    use super::{Any, Arc, Attached, Rc, Result};

    /// A store by its place in the graph, checked by its name.
    #[derive(Clone, Debug)]
    pub struct Connection {
        /// Its place.
        pub place: usize,
        /// Its name.
        pub name: Arc<str>,
        /// What decides how its entries are read.
        pub details: Arc<str>,
    }

    /// The stores of one task while a processor is made.
    pub struct Opening<'a> {
        /// By place in the graph.
        pub find: &'a dyn Fn(usize) -> Option<&'a dyn Any>,
        /// For the node around the processor.
        pub attached: Vec<Rc<dyn Attached>>,
    }

    /// Opens the stores of a set in a task.
    pub(crate) type Open<O> = dyn Fn(&mut Opening<'_>) -> Result<O> + Send + Sync;

    /// The stores of a set.
    pub trait Connect {
        /// All of them.
        fn connections(&self) -> Vec<Connection>;
    }
}

impl sealed::Connect for () {
    fn connections(&self) -> Vec<Connection> {
        Vec::new()
    }
}

impl StoreSet for () {
    type Opened = ();
    fn opener(self) -> Box<Open<()>> {
        Box::new(|_| Ok(()))
    }
}

impl<S: StateStore> sealed::Connect for &StoreHandle<S> {
    fn connections(&self) -> Vec<Connection> {
        vec![self.connection.clone()]
    }
}

impl<S: StateStore> StoreSet for &StoreHandle<S> {
    type Opened = S;
    fn opener(self) -> Box<Open<S>> {
        let Connection { place, name, .. } = self.connection.clone();
        Box::new(move |opening| {
            let found = (opening.find)(place).and_then(|store| store.downcast_ref::<S>());
            let Some(store) = found else {
                return Err(Error::internal(format!("store `{name}` was not made, or has another type")));
            };
            opening.attached.push(store.attached());
            Ok(store.share())
        })
    }
}

macro_rules! store_sets {
    ($(($($set:ident $at:tt),+);)+) => {$(
        impl<$($set: StoreSet),+> sealed::Connect for ($($set,)+) {
            fn connections(&self) -> Vec<Connection> {
                [$(self.$at.connections()),+].concat()
            }
        }
        impl<$($set: StoreSet),+> StoreSet for ($($set,)+)
        where
            $($set::Opened: 'static,)+
        {
            type Opened = ($($set::Opened,)+);
            fn opener(self) -> Box<Open<Self::Opened>> {
                let openers = ($(self.$at.opener(),)+);
                Box::new(move |opening| Ok(($((openers.$at)(opening)?,)+)))
            }
        }
    )+};
}

store_sets! {
    (A 0);
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
}
