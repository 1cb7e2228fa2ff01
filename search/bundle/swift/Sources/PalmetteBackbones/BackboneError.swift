/// Everything that the loader refuses.
public enum BackboneError: Error {
    case resourceMissing(String)
    case unknownFormat(String)
    case systemTooOld(iOS: Int)
    case unknownOutput(String, known: [String])
    case notAnArray(String)
    case imageNotPrepared(Int32)
}
