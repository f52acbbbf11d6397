import com.azure.core.cryptography.AsyncKeyEncryptionKey;
import com.azure.storage.blob.specialized.cryptography.BlobClientSideEncryptionOptions;
import com.azure.storage.blob.specialized.cryptography.EncryptedBlobClient;
import com.azure.storage.blob.specialized.cryptography.EncryptedBlobClientBuilder;
import com.azure.storage.blob.specialized.cryptography.EncryptionVersion;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.interfaces.RSAPrivateCrtKey;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.RSAPublicKeySpec;
import java.util.Base64;
import javax.crypto.Cipher;
import reactor.core.publisher.Mono;

/**
 * The official SDK at the other end. Arguments: endpoint, container, key file (PKCS#8), key id; the SAS in the variable
 * STORAGE_SAS. Each line of standard input is an order, with tabs between its words, and is answered by a line:
 * "read BLOB FILE" or "write VERSION REGION BLOB FILE", where REGION counts in version 2.1 only.
 */
public final class Peer {
    /** RSA-OAEP with a key of our own. */
    private record Kek(PrivateKey secret, PublicKey open, String id) implements AsyncKeyEncryptionKey {
        private byte[] apply(int mode, java.security.Key key, String algorithm, byte[] bytes) {
            if (!algorithm.equals("RSA-OAEP")) {
                throw new IllegalArgumentException(algorithm);
            }
            try {
                Cipher cipher = Cipher.getInstance("RSA/ECB/OAEPWithSHA-1AndMGF1Padding");
                cipher.init(mode, key);
                return cipher.doFinal(bytes);
            } catch (java.security.GeneralSecurityException error) {
                throw new IllegalStateException(error);
            }
        }

        @Override
        public Mono<String> getKeyId() {
            return Mono.just(id);
        }

        @Override
        public Mono<byte[]> wrapKey(String algorithm, byte[] key) {
            return Mono.fromCallable(() -> apply(Cipher.ENCRYPT_MODE, open, algorithm, key));
        }

        @Override
        public Mono<byte[]> unwrapKey(String algorithm, byte[] key) {
            return Mono.fromCallable(() -> apply(Cipher.DECRYPT_MODE, secret, algorithm, key));
        }
    }

    private static Kek load(String path, String id) throws Exception {
        String pem = Files.readString(Path.of(path));
        String text = pem.substring(pem.indexOf("-----BEGIN PRIVATE KEY-----"))
                .replaceAll("-----[A-Z ]+-----", "").replaceAll("\\s", "");
        KeyFactory factory = KeyFactory.getInstance("RSA");
        PrivateKey secret = factory.generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(text)));
        RSAPrivateCrtKey numbers = (RSAPrivateCrtKey) secret;
        PublicKey open = factory.generatePublic(
                new RSAPublicKeySpec(numbers.getModulus(), numbers.getPublicExponent()));
        return new Kek(secret, open, id);
    }

    private static EncryptedBlobClient client(String[] place, Kek kek, EncryptionVersion version, long region,
            String blob) {
        EncryptedBlobClientBuilder builder = new EncryptedBlobClientBuilder(version);
        if (region > 0) {
            builder.clientSideEncryptionOptions(
                    new BlobClientSideEncryptionOptions().setAuthenticatedRegionDataLengthInBytes(region));
        }
        return builder.endpoint(place[0]).containerName(place[1]).sasToken(System.getenv("STORAGE_SAS"))
                .blobName(blob).key(kek, "RSA-OAEP").requiresEncryption(true).buildEncryptedBlobClient();
    }

    private static void obey(String[] place, Kek kek, String[] order) throws IOException {
        if (order[0].equals("read")) {
            try (OutputStream file = Files.newOutputStream(Path.of(order[2]))) {
                client(place, kek, EncryptionVersion.V2, 0, order[1]).downloadStream(file);
            }
        } else if (order[1].equals("2.0")) {
            client(place, kek, EncryptionVersion.V2, 0, order[3]).uploadFromFile(order[4], true);
        } else {
            client(place, kek, EncryptionVersion.V2_1, Long.parseLong(order[2]), order[3])
                    .uploadFromFile(order[4], true);
        }
    }

    public static void main(String[] place) throws Exception {
        Kek kek = load(place[2], place[3]);
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        for (String line = orders.readLine(); line != null; line = orders.readLine()) {
            try {
                obey(place, kek, line.split("\t"));
                System.out.println("done");
            } catch (IOException | RuntimeException error) {
                System.out.println("failed " + error);
            }
        }
        System.exit(0);
    }
}
